"""One Ethereum execution node, asked by JSON-RPC. Headers and accounts are proven; the rest is its word.

Methods as of the Ethereum execution APIs; proofs by EIP-1186, tags `latest` and `finalized` as since the
Merge.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from eth_hash.backends.pysha3 import keccak256

from custody.adapters.ethereum_proofs import (
    NODE_BYTES_MAX,
    Header,
    data,
    quantity,
    read_header,
    verify_account,
)
from custody.adapters.json_rpc import Json, JsonRpc, RpcError, RpcUnavailable, as_list, as_object
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    ChainDataInvalid,
    Executed,
    FeeQuote,
    FeeTooLow,
    ProvenState,
    WrongNetwork,
)
from signers.statements.amounts import Wei
from signers.statements.identifiers import BlockHash, EthereumAddress, TxId
from signers.statements.network import Network

HEADERS_KEPT: Final = 64
_FEE_TOO_LOW: Final = ("underpriced", "less than block base fee", "below minimum", "below configured minimum")
"""As geth, reth, Erigon, Besu and anvil say it, in lower case; JSON-RPC has no code for it."""
_HEADER_ONLY: Final = False

T = TypeVar("T")


class EthereumNode:
    """One node. Raises as `BitcoinNode`.

    Args:
        rpc: its JSON-RPC.
        network: the chain it must be of.
    """

    def __init__(self, rpc: JsonRpc, *, network: Network) -> None:
        self._rpc = rpc
        self._network = network
        self._known_right = False
        self._headers: OrderedDict[BlockHash, Header] = OrderedDict()

    @property
    def name(self) -> str:
        """What people call it."""
        return self._rpc.endpoint.name

    async def check_network(self) -> None:
        """Raise `WrongNetwork` unless its chain id (EIP-155) is the network's."""
        if self._known_right:
            return
        chain_id = await self._rpc.call("eth_chainId", read=quantity)
        if chain_id != self._network.chain_id:
            raise WrongNetwork(f"{self.name} is of chain {chain_id}, not {self._network.chain_id}")
        self._known_right = True

    async def head(self) -> BlockHeader:
        """Its latest block."""
        return (await self._header("eth_getBlockByNumber", "latest")).block

    async def finalised(self) -> BlockHeader:
        """Its finalised block.

        Raises:
            BlockNotFound: it knows none yet.
        """
        return (await self._header("eth_getBlockByNumber", "finalized")).block

    async def block_at(self, height: int) -> BlockHeader:
        """The canonical block at a height.

        Raises:
            BlockNotFound: its chain is shorter.
        """
        header = await self._header("eth_getBlockByNumber", hex(height))
        if header.block.height != height:
            raise ChainDataInvalid(f"{self.name} gave block {header.block.height} for {height}")
        return header.block

    async def account_at(self, address: EthereumAddress, block: BlockHeader) -> ProvenState:
        """An account's state after a block, proven.

        Raises:
            BlockNotFound: it has no state of that block.
            ChainDataInvalid: the proof does not verify.
        """
        header = await self._header_of(block)

        def read(result: Json) -> ProvenState:
            nodes = as_list(as_object(result)["accountProof"])
            proof = [data(node, bytes_max=NODE_BYTES_MAX) for node in nodes]
            return verify_account(address=address, header=header, proof=proof)

        try:
            return await self._rpc.call("eth_getProof", f"0x{address}", [], hex(block.height), read=read)
        except RpcError as error:
            # Nodes have no common code for a state they pruned; whatever they say, it is not there.
            raise BlockNotFound(f"{self.name} proves nothing at {block.height}: {error}") from error

    async def fee_quote(self) -> FeeQuote:
        """The next block's base fee by its latest header (EIP-1559), and the priority fee it suggests."""
        header = await self._header("eth_getBlockByNumber", "latest")
        priority = await self._rpc.call("eth_maxPriorityFeePerGas", read=quantity)
        return FeeQuote(base_fee_per_gas_wei=next_base_fee(header), priority_fee_per_gas_wei=priority)

    async def broadcast(self, raw: bytes) -> None:
        """Hand in a transaction; success if the node knows it afterwards, whoever brought it.

        Raises:
            BroadcastRejected: the node refuses it; `FeeTooLow` for its fee.
            ChainDataInvalid: the node took something else.
        """
        await self.check_network()
        expected = transaction_hash(raw)
        try:
            taken = await self._rpc.call("eth_sendRawTransaction", f"0x{raw.hex()}", read=_hash)
        except RpcError as error:
            if await self._knows(expected):
                return
            raise self._rejected(error) from error
        if taken != expected:
            raise ChainDataInvalid(f"{self.name} took {taken} for {expected}")

    async def executed(self, tx_hash: TxId) -> Executed | None:
        """What became of a transaction, if its block is on the canonical chain."""
        await self.check_network()
        receipt = await self._call("eth_getTransactionReceipt", f"0x{tx_hash}", read=_receipt)
        if receipt is None:
            return None
        if receipt.tx_hash != tx_hash:
            raise ChainDataInvalid(f"{self.name} gave the receipt of {receipt.tx_hash} for {tx_hash}")
        try:
            block = await self.block_at(receipt.height)
        except BlockNotFound:
            return None
        if block.block_hash != receipt.block_hash:
            return None
        return Executed(block=block, succeeded=receipt.succeeded, fee=receipt.fee)

    def _rejected(self, error: RpcError) -> BroadcastRejected:
        said = error.message.lower()
        cheap = any(words in said for words in _FEE_TOO_LOW)
        return (FeeTooLow if cheap else BroadcastRejected)([f"{self.name}: {error}"])

    async def _knows(self, tx_hash: TxId) -> bool:
        return await self._call(
            "eth_getTransactionByHash", f"0x{tx_hash}", read=lambda result: result is not None
        )

    async def _header_of(self, block: BlockHeader) -> Header:
        kept = self._headers.get(block.block_hash)
        header = kept or await self._header("eth_getBlockByHash", f"0x{block.block_hash}")
        if header.block != block:
            raise ChainDataInvalid(f"{self.name} gave {header.block.block_hash} for {block.block_hash}")
        return header

    async def _header(self, method: str, which: str) -> Header:
        await self.check_network()
        try:
            header = await self._rpc.call(
                method,
                which,
                _HEADER_ONLY,
                read=lambda result: None if result is None else read_header(as_object(result)),
            )
        except RpcError as error:
            raise BlockNotFound(f"{self.name}: {which}: {error}") from error
        if header is None:
            raise BlockNotFound(f"{self.name} has no block {which}")
        self._headers[header.block.block_hash] = header
        if len(self._headers) > HEADERS_KEPT:
            self._headers.popitem(last=False)
        return header

    async def _call(self, method: str, param: str, read: Callable[[Json], T]) -> T:
        try:
            return await self._rpc.call(method, param, read=read)
        except RpcError as error:
            raise RpcUnavailable(f"{self.name}: {method}: {error}") from error


def transaction_hash(raw: bytes) -> TxId:
    """The hash of a signed transaction: Keccak-256 of its bytes as nodes take them (EIP-2718)."""
    return TxId(keccak256(raw).hex())


def next_base_fee(header: Header) -> int:
    """The base fee of the block after `header`, in wei per gas (EIP-1559)."""
    base, target = header.base_fee_per_gas_wei, header.gas_limit // 2
    if target in {0, header.gas_used}:
        return base
    change = base * abs(header.gas_used - target) // target // 8
    return base + max(change, 1) if header.gas_used > target else base - change


@dataclass(frozen=True, slots=True, kw_only=True)
class _Receipt:
    tx_hash: TxId
    height: int
    block_hash: BlockHash
    succeeded: bool
    fee: Wei


def _hash(value: Json) -> TxId:
    return TxId(data(value, bytes_max=32).hex())


def _receipt(result: Json) -> _Receipt | None:
    if result is None:
        return None
    fields = as_object(result)
    status = quantity(fields["status"])
    if status not in {0, 1}:
        raise ValueError(f"a receipt of status {status}")
    return _Receipt(
        tx_hash=_hash(fields["transactionHash"]),
        height=quantity(fields["blockNumber"]),
        block_hash=BlockHash(data(fields["blockHash"], bytes_max=32).hex()),
        succeeded=status == 1,
        fee=Wei(quantity(fields["gasUsed"]) * quantity(fields["effectiveGasPrice"])),
    )
