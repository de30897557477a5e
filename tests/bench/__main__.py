"""`make bench`: one JSON document with the machine, each figure, its floor and the ratio."""

import json
import os
import platform
import sys

from tests.bench import blocks, reservations


def main() -> None:
    """Measure everything and print it."""
    machine = {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
    figures = [blocks.measure(), reservations.measure()]
    json.dump({"machine": machine, "figures": figures}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
