"""The names custody gives to what the statements do not name."""

import hashlib
import re

from signers.statements.amounts import Asset
from signers.statements.identifiers import BlockHash, Digest, IntentId, Text, TxId

__all__ = ["DepositId", "Etag", "RequestId", "WithdrawalId", "deposit_id", "etag_of"]


class RequestId(Text):
    """A caller's idempotency key: a version 4 UUID (RFC 9562) in lower case."""

    pattern = IntentId.pattern


class WithdrawalId(Text):
    """A withdrawal of one account, named by its maker."""

    pattern = re.compile(r"[a-z][a-z0-9-]{2,39}", re.ASCII)


class DepositId(Text):
    """A deposit of one account: one observation of an arrival in one block."""

    pattern = re.compile(r"d[0-9a-f]{32}", re.ASCII)


class Etag(Text):
    """What a caller decided on: 16 bytes of SHA-256 in hexadecimal."""

    pattern = re.compile(r"[0-9a-f]{32}", re.ASCII)


def deposit_id(*, asset: Asset, reference: str, block_hash: BlockHash) -> DepositId:
    """The name of an arrival seen in a block.

    Args:
        asset: the chain.
        reference: BTC `txid:index`; ETH the account's address, since a deposit is a change of its balance.
        block_hash: the block. The same arrival in another block is another observation.
    """
    seed = f"{asset.value}|{reference}|{block_hash}".encode()
    return DepositId("d" + hashlib.sha256(seed).hexdigest()[:32])


def etag_of(digest: Digest | None, state: str) -> Etag:
    """An etag over what is to be signed and the state, not over the signatures collected.

    Two approvers who sign at once must not abort each other (api.md).
    """
    return Etag(hashlib.sha256(f"{digest or ''}|{state}".encode()).hexdigest()[:32])


TransactionId = TxId
"""A Bitcoin txid or an Ethereum transaction hash: both are 32 bytes in hexadecimal without 0x."""
