"""What the edge itself refuses, before a use case is asked."""
# ruff: noqa: N818 - refusals are named by what they refuse, as the domain's are

from custody.domain.errors import CustodyError


class CertificateRequired(CustodyError):
    """The connection shows no client certificate with exactly one DNS name that the configuration knows."""

    reason = "CERTIFICATE_REQUIRED"


class DeadlineRequired(CustodyError):
    """The call has no deadline, or a longer one than the service grants. `data`: `deadline_max_seconds`."""

    reason = "DEADLINE_REQUIRED"


class PageTokenInvalid(CustodyError):
    """Not a token that this method gave this caller for this request."""

    reason = "PAGE_TOKEN_INVALID"


class SequenceNotReached(CustodyError):
    """No report covers min_account_sequence within the deadline. `data`: `account_sequence`."""

    reason = "SEQUENCE_NOT_REACHED"


class Overloaded(CustodyError):
    """The caller holds more calls or streams than it may."""

    reason = "OVERLOADED"


class Stopping(CustodyError):
    """The service is going away; the same call succeeds on the one that replaces it."""

    reason = "STOPPING"
