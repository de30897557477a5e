"""`python -m deploy.localnet up|down|status`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from types import FrameType

from deploy.localnet.dev.living import live
from deploy.localnet.dev.status import statuses
from deploy.localnet.localnet import Event, Localnet
from deploy.localnet.processes import ProcessFailedError
from deploy.localnet.state import DEFAULT_FOLDER, StateFolderRefusedError, end_localnet
from deploy.localnet.toolchain import ToolMissingError

_TERMINATED_EXIT_CODE = 128 + signal.SIGTERM


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _exit_in_order)
    try:
        match arguments.command:
            case "up":
                return _up(arguments.folder, block_seconds=arguments.block_seconds)
            case "down":
                return _down(arguments.folder)
            case _:
                return _status(arguments.folder)
    except KeyboardInterrupt:
        return 0
    except (StateFolderRefusedError, ToolMissingError, ProcessFailedError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.localnet", description="A local Bailee network.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="keep it up, with an account to try things on")
    up.add_argument("--block-seconds", type=float, default=5.0, help="between blocks (default: %(default)g)")
    down = commands.add_parser("down", help="end it, from another shell")
    status = commands.add_parser("status", help="show every process, and whether it serves")
    for command in (up, down, status):
        command.add_argument(
            "--folder", type=Path, default=DEFAULT_FOLDER, help="state folder (default: %(default)s)"
        )
    return parser


def _up(folder: Path, *, block_seconds: float) -> int:
    with Localnet(folder=folder, on_event=_print_event) as net:
        print("\nUp. Ctrl-C or `python -m deploy.localnet down` ends it.\n")
        for name, address in sorted(net.endpoints.items()):
            print(f"  {name:<12} {address}")
        print(f"  {'certificates':<12} {net.certificates.authority_file.parent}")
        print(f"  {'profiles':<12} {net.state.folder('profiles')}")
        print(f"  {'logs':<12} {net.state.logs}", flush=True)
        asyncio.run(live(net, block_seconds=block_seconds))
        for process in net.ended_processes():
            print(f"{process.name} ended with code {process.exit_code}; see {process.spec.log_file}")
        return 1


def _down(folder: Path) -> int:
    ended = end_localnet(folder)
    print(f"ended: {', '.join(ended)}" if ended else f"nothing runs in {folder}")
    return 0


def _status(folder: Path) -> int:
    """0 where every part is well."""
    parts = list(statuses(folder.resolve()))
    for part in parts:
        print(part)
    if not parts:
        print(f"nothing runs in {folder}")
    return 0 if parts and all(part.is_well for part in parts) else 1


def _print_event(event: Event) -> None:
    print(f"{event.elapsed_seconds:6.1f} s  {event.part} {event.kind.value}", flush=True)


def _exit_in_order(_number: int, _frame: FrameType | None) -> None:
    sys.exit(_TERMINATED_EXIT_CODE)


if __name__ == "__main__":
    sys.exit(main())
