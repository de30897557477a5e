"""Journey 1: a pledge account, and the destinations its coins may go to."""

import asyncio
from dataclasses import dataclass
from typing import Any

from bip322_core import bip322_sign  # type: ignore[attr-defined]

from deploy.localnet.demo.record import Evidence
from deploy.localnet.demo.stage import ACCOUNT, Stage, state, until
