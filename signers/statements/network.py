"""The pair of chains a deployment speaks of."""

from enum import StrEnum
from typing import final


@final
class Network(StrEnum):
    """One Bitcoin chain and one Ethereum chain, never mixed. Every statement names it."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    REGTEST = "regtest"

    @property
    def chain_id(self) -> int:
        """The Ethereum chain id (EIP-155): mainnet, Sepolia, a local development chain."""
        return {"mainnet": 1, "testnet": 11_155_111, "regtest": 31_337}[self.value]

    @property
    def bech32_prefix(self) -> str:
        """The human-readable part of segregated-witness addresses (BIP-173)."""
        return {"mainnet": "bc", "testnet": "tb", "regtest": "bcrt"}[self.value]
