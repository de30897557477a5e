"""One bitcoind, asked by JSON-RPC. Bytes are checked; what it says about its chain is its word.

RPCs and error codes as of Bitcoin Core 29. The node needs `txindex=1` and no pruning: a withdrawal is
followed, and previous transactions are read, long after they left the mempool.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import Final, TypeVar

from custody.adapters.block_matching import (
    header_hash,
    header_parent,
    match_block,
    transaction_id,
    without_witnesses,
)
from custody.adapters.json_rpc import (
    Json,
    JsonRpc,
    RpcError,
    RpcUnavailable,
    as_int,
    as_list,
    as_object,
    as_str,
)
from custody.application.ports.chains import (
    BitcoinWatch,
    BlockActivity,
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    ChainDataInvalid,
    FeeRate,
    FeeTooLow,
    TransactionNotFound,
    UnspentOutput,
    UnspentSet,
    WrongNetwork,
)
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Outpoint
from signers.statements.amounts import Sats
from signers.statements.identifiers import BlockHash, ScriptPubKey, TxId
from signers.statements.network import Network

NOT_FOUND: Final = -5
OUT_OF_RANGE: Final = -8
SCAN_TIMEOUT_SECONDS: Final = 600.0
"""A scan of mainnet's unspent outputs takes minutes."""
_REJECTIONS: Final = frozenset({-22, -25, -26, -27})
"""Cannot be decoded, missing inputs, refused by rules, already in the chain."""
_FEE_TOO_LOW: Final = (
    "min relay fee not met",
    "mempool min fee not met",
    "mempool full",
    "insufficient fee",  # of a replacement (BIP-125)
)
"""Bitcoin Core's words (validation.cpp); they share one code with every other rule."""
_SERIALISED: Final = False
_DECODED: Final = True

T = TypeVar("T")


class BitcoinNode:
    """One node. `RpcUnavailable` is raised by every method; `WrongNetwork` by the first use of a wrong node.

    Args:
        rpc: its JSON-RPC.
        network: the chain it must be of.
    """

    def __init__(self, rpc: JsonRpc, *, network: Network) -> None:
        self._rpc = rpc
        self._network = network
        self._known_right = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self._rpc.endpoint.name

    async def check_network(self) -> None:
        """Raise `WrongNetwork` unless its genesis block is the network's."""
        if self._known_right:
            return
        genesis = await self._rpc.call("getblockhash", 0, read=lambda result: BlockHash(as_str(result)))
        if genesis != self._network.bitcoin_genesis:
            raise WrongNetwork(
                f"{self.name} is not a Bitcoin node of {self._network}: its genesis block is {genesis}"
            )
        self._known_right = True

    async def tip(self) -> BlockHeader:
        """Its best block."""
        await self.check_network()
        best = await self._rpc.call("getbestblockhash", read=lambda result: BlockHash(as_str(result)))
        return await self.block(best)

    async def block_at(self, height: int) -> BlockHeader:
        """The block at a height of its active chain.

        Raises:
            BlockNotFound: its chain is shorter.
        """
        await self.check_network()
        try:
            found = await self._rpc.call(
                "getblockhash", height, read=lambda result: BlockHash(as_str(result))
            )
        except RpcError as error:
            raise self._translated(error, BlockNotFound(f"no block at height {height}")) from error
        return await self.block(found)

    async def block(self, block_hash: BlockHash) -> BlockHeader:
        """A block by its hash, on the active chain or not. Its header is checked against the hash.

        Raises:
            BlockNotFound: it knows none.
            ChainDataInvalid: another header.
        """
        try:
            raw = await self._rpc.call(
                "getblockheader", block_hash, _SERIALISED, read=lambda result: bytes.fromhex(as_str(result))
            )
            height = await self._rpc.call(
                "getblockheader",
                block_hash,
                _DECODED,
                read=lambda result: as_int(as_object(result)["height"]),
            )
        except RpcError as error:
            raise self._translated(error, BlockNotFound(block_hash)) from error
        if len(raw) != 80 or header_hash(raw) != block_hash:
            raise ChainDataInvalid(f"{self.name}: the header of {block_hash} is another one")
        return BlockHeader(height=height, block_hash=block_hash, parent=header_parent(raw))

    async def activity(self, block: BlockHeader, watch: BitcoinWatch) -> BlockActivity:
        """What a block did at the watched scripts, matched in the RPC's thread. Raises as `block`."""

        def match(result: Json) -> BlockActivity:
            return match_block(bytes.fromhex(as_str(result)), block=block, watch=watch)

        try:
            return await self._rpc.call("getblock", block.block_hash, 0, read=match)
        except RpcError as error:
            raise self._translated(error, BlockNotFound(block.block_hash)) from error

    async def raw_transaction(self, txid: TxId, block: BlockHash | None) -> bytes:
        """A transaction as serialised without witnesses, checked against its id.

        Raises:
            TransactionNotFound: it has none in that block, or (without one) in mempool or index.
            ChainDataInvalid: another transaction.
        """
        place = [] if block is None else [block]
        try:
            raw = await self._rpc.call(
                "getrawtransaction",
                txid,
                _SERIALISED,
                *place,
                read=lambda result: bytes.fromhex(as_str(result)),
            )
        except RpcError as error:
            raise self._translated(error, TransactionNotFound(txid)) from error
        if transaction_id(raw) != txid:
            raise ChainDataInvalid(f"{self.name}: another transaction for {txid}")
        return without_witnesses(raw)

    async def broadcast(self, raw: bytes, txid: TxId) -> None:
        """Hand in a transaction; success if it is in the mempool or the chain afterwards, whoever brought it.

        Raises:
            BroadcastRejected: the node refuses it; `FeeTooLow` for its fee.
            ChainDataInvalid: the node took something else.
        """
        await self.check_network()
        try:
            taken = await self._rpc.call(
                "sendrawtransaction", raw.hex(), read=lambda result: TxId(as_str(result))
            )
        except RpcError as error:
            if error.code not in _REJECTIONS:
                raise self._translated(error, error) from error
            if not await self._knows(txid):
                raise self._rejected(error) from error
            return
        if taken != txid:
            raise ChainDataInvalid(f"{self.name} took {taken} for {txid}")

    async def fee_rate(self, target_blocks: int) -> FeeRate:
        """Its estimate; where it has none yet, the least it would relay."""
        await self.check_network()
        estimate = await self._rpc.call(
            "estimatesmartfee", target_blocks, read=lambda result: _rate(as_object(result).get("feerate"))
        )
        floor = await self._rpc.call("getmempoolinfo", read=lambda result: _floor(as_object(result)))
        return max(estimate or floor, floor)

    async def unspent(self, scripts: Collection[ScriptPubKey]) -> UnspentSet:
        """Every unspent output at the scripts, as of its tip. One scan runs at a time in a node."""
        await self.check_network()
        wanted: list[Json] = [f"raw({script})" for script in scripts]
        return await self._rpc.call(
            "scantxoutset",
            "start",
            wanted,
            read=lambda result: _unspent(as_object(result), frozenset(scripts)),
            timeout_seconds=SCAN_TIMEOUT_SECONDS,
        )

    async def _knows(self, txid: TxId) -> bool:
        """Whether a transaction is in its mempool or on its active chain."""
        try:
            found = await self._rpc.call(
                "getrawtransaction", txid, _DECODED, read=lambda result: _block_of(as_object(result))
            )
        except RpcError as error:
            self._translated(error, TransactionNotFound(txid))
            return False
        return found is None or await self._has_on_chain(found)

    async def _has_on_chain(self, block_hash: BlockHash) -> bool:
        """Whether a block is on its active chain: the index keeps those that were reorganised away."""
        block = await self.block(block_hash)
        try:
            return await self.block_at(block.height) == block
        except BlockNotFound:
            return False

    def _rejected(self, error: RpcError) -> BroadcastRejected:
        cheap = any(words in error.message for words in _FEE_TOO_LOW)
        return (FeeTooLow if cheap else BroadcastRejected)([f"{self.name}: {error}"])

    def _translated(self, error: RpcError, absence: Exception) -> Exception:
        """What an error of the node means: `absence`, or that it cannot answer now."""
        if error.code in {NOT_FOUND, OUT_OF_RANGE}:
            return absence
        raise RpcUnavailable(f"{self.name}: {error}") from error


def _block_of(transaction: dict[str, Json]) -> BlockHash | None:
    block = transaction.get("blockhash")
    return None if block is None else BlockHash(as_str(block))


def _rate(value: Json) -> FeeRate | None:
    return None if value is None else FeeRate(_sats(value).units)


def _floor(mempool: dict[str, Json]) -> FeeRate:
    rates = [_rate(mempool["mempoolminfee"]), _rate(mempool["minrelaytxfee"])]
    return max(rate for rate in rates if rate is not None)


def _sats(value: Json) -> Sats:
    """An amount in BTC, which bitcoind writes with eight decimals.

    Raises:
        ValueError: more decimals than there are satoshi.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("an amount is a number")
    units = Decimal(value) * 10**8
    if units != int(units):
        raise ValueError(f"{value} BTC is no whole number of satoshi")
    return Sats(int(units))


def _unspent(result: dict[str, Json], scripts: frozenset[ScriptPubKey]) -> UnspentSet:
    if result["success"] is not True:
        raise ValueError("the scan was aborted")
    outputs = [_output(as_object(each)) for each in as_list(result["unspents"])]
    if any(output.script not in scripts for output in outputs):
        raise ValueError("an output at a script that was not asked for")
    return UnspentSet(
        block=BlockRef(as_int(result["height"]), BlockHash(as_str(result["bestblock"]))),
        outputs=tuple(sorted(outputs, key=lambda output: output.outpoint)),
    )


def _output(value: dict[str, Json]) -> UnspentOutput:
    return UnspentOutput(
        outpoint=Outpoint(txid=TxId(as_str(value["txid"])), index=as_int(value["vout"])),
        script=ScriptPubKey(as_str(value["scriptPubKey"])),
        amount=_sats(value["amount"]),
    )
