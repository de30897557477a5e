"""The machines drive the workers too: what these outlive must not pass unseen."""

from tests.unit.custody.workers.conftest import lines

__all__ = ["lines"]
