"""Keccak-256 by the reference C code (pysha3), whatever backend eth-hash would pick for others."""

from typing import Final

from eth_hash.backends.pysha3 import PySha3Backend
from eth_hash.main import Keccak256

keccak: Final = Keccak256(PySha3Backend())
"""32 bytes of Keccak-256, the function Ethereum calls so: not NIST's SHA3-256."""
