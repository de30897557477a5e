"""The machines drive the workers too: what these outlive must not pass unseen."""

from tests.unit.custody.workers.conftest import nothing_unforeseen

__all__ = ["nothing_unforeseen"]
