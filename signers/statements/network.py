"""The pair of chains a deployment speaks of."""

from enum import StrEnum
from typing import final

from signers.statements.identifiers import BlockHash


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
    def bitcoin_genesis(self) -> BlockHash:
        """The first block of the Bitcoin chain: mainnet, testnet4, regtest."""
        return {
            "mainnet": BlockHash("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
            "testnet": BlockHash("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
            "regtest": BlockHash("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
        }[self.value]

    @property
    def bech32_prefix(self) -> str:
        """The human-readable part of segregated-witness addresses (BIP-173)."""
        return {"mainnet": "bc", "testnet": "tb", "regtest": "bcrt"}[self.value]
