"""Ethereum: payouts of a pledge account's externally owned account, built here and judged by eth-account.

Everything is pure except `node`.
"""

import sys
from typing import Final

_RECURSION_LIMIT: Final = sys.getrecursionlimit()

import eth_account  # noqa: E402, F401 - see below

# py_ecc, which eth-account imports, raises the limit to 100,000. From then on a stranger's deeply nested JSON
# no longer ends in a RecursionError but overruns the stack, and a signer that has crashed signs nothing.
sys.setrecursionlimit(_RECURSION_LIMIT)
