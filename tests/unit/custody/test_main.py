"""What the command does before it serves."""

import os
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from custody import logs, main
from tests.unit.custody.rpc.test_process import write_configuration


@pytest.fixture
def _untouched() -> Iterator[None]:
    """The command sets what holds for a whole process: here it is put back."""
    mask, limit = os.umask(0o022), sys.getrecursionlimit()
    yield
    os.umask(mask)
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("_untouched")
def test_what_it_creates_is_its_users_alone_and_nesting_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, int] = {}

    def serve(life: Coroutine[Any, Any, None]) -> None:
        life.close()
        seen.update(umask=os.umask(0o077), nesting=sys.getrecursionlimit())

    write_configuration(tmp_path)
    monkeypatch.setattr("asyncio.run", serve)
    monkeypatch.setattr(logs, "configure", lambda _: None)
    assert main.live(tmp_path / "custody.toml") == 0
    assert seen == {"umask": 0o077, "nesting": 1_000}
