import subprocess
from pathlib import Path

import pytest

from deploy.localnet.processes import Supervisor
from deploy.localnet.toolchain import Toolchain, ToolMissingError, cache_folder

pytestmark = pytest.mark.system


@pytest.fixture
def toolchain(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setenv("BAILEE_CACHE", str(tmp_path / "cache"))
    for variable in ("BITCOIND", "ANVIL"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "logs").mkdir()
    return Toolchain(supervisor=supervisor, log_folder=tmp_path / "logs", on_fetch=lambda _tool: None)


def make_program(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)
    return path


def test_a_named_bitcoind_is_taken(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_program(tmp_path / "mine", "exit 0")
    monkeypatch.setenv("BITCOIND", str(mine))
    assert toolchain.bitcoind() == (str(mine),)


def test_a_bitcoind_on_the_path_is_taken(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_program(tmp_path / "bin/bitcoind", "exit 0")
    monkeypatch.setenv("PATH", str(mine.parent))
    assert toolchain.bitcoind() == (str(mine),)


@pytest.mark.parametrize(("variable", "tool"), [("BITCOIND", "bitcoind"), ("ANVIL", "anvil")])
def test_a_named_program_that_is_none_is_refused(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, tool: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "absent"))
    with pytest.raises(ToolMissingError, match=variable):
        getattr(toolchain, tool)()


@pytest.mark.parametrize("tool", ["bitcoind", "anvil"])
def test_without_a_way_to_fetch_it_says_what_to_do(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ToolMissingError, match=tool):
        getattr(toolchain, tool)()


def test_a_fetch_that_fails_leaves_no_half_tool_and_the_next_one_works(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    npm = make_program(tmp_path / "bin/npm", f"mkdir -p $(dirname {program}); touch {program}; exit 1")
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    with pytest.raises(Exception, match="fetch-anvil: ended with code 1"):
        toolchain.anvil()
    assert [entry.name for entry in cache_folder().iterdir() if entry.is_dir()] == []
    make_program(npm, f"mkdir -p $(dirname {program}); touch {program}")
    (command,) = toolchain.anvil()
    assert Path(command).is_file()


def test_the_remains_of_a_killed_fetch_are_removed(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    npm = make_program(tmp_path / "bin/npm", f"mkdir -p $(dirname {program}); touch {program}")
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    fetched = Path(toolchain.anvil()[0])
    final = next(folder for folder in fetched.parents if folder.parent == cache_folder())
    abandoned = final.with_name(f".{final.name}-abandoned")
    final.rename(abandoned)
    assert Path(toolchain.anvil()[0]) == fetched
    assert not abandoned.exists()


@pytest.mark.slow
def test_the_real_programs_are_fetched_and_run(toolchain: Toolchain) -> None:
    for command in (toolchain.bitcoind(), toolchain.anvil(), toolchain.openbao()):
        option = "version" if command[-1].endswith("bao") else "--version"
        answer = subprocess.run([*command, option], capture_output=True, text=True, timeout=60, check=True)
        assert answer.stdout
