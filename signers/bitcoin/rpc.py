"""The questions a signer asks of a bitcoind, one JSON-RPC call each, answers checked for their form.

Blocking: `node` runs them in threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bitcoin_core_rpc import RpcError

from signers.bitcoin.coins import ConfirmedOutput, Outpoint
from signers.statements.amounts import Sats
from signers.statements.identifiers import BlockHash, Seconds, TxId

Call = Callable[[str, Sequence[object]], Any]
"""One JSON-RPC call: method and parameters. Answers with the result, decimals as `Decimal`.

Raises `RpcError` where the node answers with an error, `FetchError` where it does not answer.
"""

_NOT_FOUND: Final = -5
"""RPC_INVALID_ADDRESS_OR_KEY: no such transaction or block."""


class NodeUnfit(Exception):  # noqa: N818 - it says what is the case
    """The node is of another chain, or lacks what a signer needs. A person has to change something."""


class AnswerMalformed(Exception):  # noqa: N818 - it says what is the case
    """The node answered in a form that no bitcoind uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinTip:
    """The best block."""

    height: int
    block_hash: BlockHash
    time: Seconds
    """The block's own time stamp."""
    median_time_past: Seconds
    """BIP-113: of the last eleven blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unspent:
    """An unspent output of the best chain, and as of which block."""

    output: ConfirmedOutput
    as_of: BlockHash
    as_of_height: int


class BitcoinRpc:
    """A bitcoind. Every method also raises what `Call` raises, and `AnswerMalformed`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def chain(self) -> str:
        """Its name of the chain: main, testnet4, regtest."""
        return str(_field(self._call("getblockchaininfo", []), "chain", str))

    def transaction_index_synced(self) -> bool:
        """Whether the index of transactions is complete.

        Raises:
            NodeUnfit: there is none.
        """
        indexes = self._call("getindexinfo", ["txindex"])
        if "txindex" not in indexes:
            raise NodeUnfit("a node without transaction index: set txindex=1")
        return bool(_field(indexes["txindex"], "synced", bool))

    def tip(self) -> BitcoinTip:
        """The best block."""
        info = self._call("getblockchaininfo", [])
        return BitcoinTip(
            height=_field(info, "blocks", int),
            block_hash=_hash(info, "bestblockhash"),
            time=Seconds(_field(info, "time", int)),
            median_time_past=Seconds(_field(info, "mediantime", int)),
        )

    def unspent(self, outpoint: Outpoint) -> Unspent | None:
        """An unspent output of the best chain; `None` where there is none. The mempool counts for nothing."""
        found = self._call("gettxout", [outpoint.txid, outpoint.index, False])
        if found is None:
            return None
        as_of = _hash(found, "bestblock")
        height = self.height_of(as_of)
        output = ConfirmedOutput(
            value=_sats(found.get("value")),
            script=bytes.fromhex(_field(_field(found, "scriptPubKey", dict), "hex", str)),
            height=height - _field(found, "confirmations", int) + 1,
        )
        return Unspent(output=output, as_of=as_of, as_of_height=height)

    def block_of(self, txid: TxId) -> BlockHash | None:
        """The block of the best chain that has this transaction; `None` where none has."""
        try:
            found = self._call("getrawtransaction", [txid, True])
        except RpcError as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        if "blockhash" not in found:
            return None
        block_hash = _hash(found, "blockhash")
        return block_hash if self.confirmations(block_hash) > 0 else None

    def confirmations(self, block_hash: BlockHash) -> int:
        """Of a block; below 1 where it is not, or no longer, in the best chain."""
        try:
            return int(_field(self._call("getblockheader", [block_hash]), "confirmations", int))
        except RpcError as error:
            if error.code == _NOT_FOUND:
                return 0
            raise

    def height_of(self, block_hash: BlockHash) -> int:
        """Where a block stands."""
        return int(_field(self._call("getblockheader", [block_hash]), "height", int))

    def block_at(self, height: int) -> BlockHash:
        """The block of the best chain at a height."""
        return BlockHash(self._call("getblockhash", [height]))

    def raw_block(self, block_hash: BlockHash) -> bytes:
        """The serialised block."""
        return bytes.fromhex(self._call("getblock", [block_hash, 0]))


def _field(answer: Any, name: str, kind: type) -> Any:
    value = answer.get(name) if isinstance(answer, dict) else None
    if type(value) is not kind:
        raise AnswerMalformed(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return value


def _hash(answer: Any, name: str) -> BlockHash:
    return BlockHash(_field(answer, name, str))


def _sats(value: object) -> Sats:
    """An amount that the node wrote in bitcoin."""
    units = Decimal(value) * 10**8 if isinstance(value, int | Decimal) else Decimal("NaN")
    if not units.is_finite() or units != units.to_integral_value():
        raise AnswerMalformed("an amount that is no number of satoshi")
    return Sats(int(units))
