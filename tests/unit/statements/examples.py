"""How many examples a property is tried on; how long they take never fails a test."""

from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    """Settings for so many examples."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
