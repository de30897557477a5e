"""The signer's own Bitcoin node: what is on the chain, asked of nobody else.

A plain bitcoind with `txindex=1` is enough; no wallet is used. Calls run in a bounded pool of threads, each
with its own time-out; whatever goes wrong is `NodeUnavailable`, and the caller refuses.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from bitcoin_core_rpc import BitcoinCoreRpcClient, FetchError

from signers.bitcoin.coins import ConfirmedOutput, Outpoint
from signers.bitcoin.rpc import AnswerMalformed, BitcoinRpc, BitcoinTip, Call, NodeUnfit
from signers.bitcoin.spend_search import Block, ChainMoved, Searched, Spend, search
from signers.statements.network import Network

__all__ = ["BitcoinNode", "BitcoinTip", "BitcoinView", "NodeUnavailable", "NodeUnfit"]

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 30.0
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""A block of 4 MB in hexadecimal fits twice over."""

THREADS_MAX: Final = 4
SEARCH_BLOCKS_MAX: Final = 144
"""Blocks looked through in one call of `anchor_spent_at_finality`: a day's."""

REORG_MARGIN_BLOCKS: Final = 144
"""How far below a height hint a search starts, in case the blocks there have been replaced."""

ANCHORS_MAX: Final = 4096
"""Anchors whose search is remembered; one that was forgotten is searched again."""

_CHAINS: Final = {Network.MAINNET: "main", Network.TESTNET: "testnet4", Network.REGTEST: "regtest"}


class NodeUnavailable(Exception):  # noqa: N818 - it says what is the case
    """The node did not answer, or not in a way that can be relied on. Nothing is known; try again later."""


class BitcoinView(Protocol):
    """What a signer asks of its node. Every method raises `NodeUnavailable`."""

    async def check(self) -> None:
        """Raises `NodeUnfit` where it is of another chain, or cannot serve a signer."""

    async def tip(self) -> BitcoinTip:
        """The best block."""

    async def confirmed_output(self, outpoint: Outpoint) -> ConfirmedOutput | None:
        """An unspent output of the best chain; `None` where there is none. The mempool counts for nothing."""

    async def anchor_spent_at_finality(
        self, outpoint: Outpoint, *, depth: int, since_height: int = 0
    ) -> bool:
        """Whether a transaction with at least `depth` confirmations spends the outpoint.

        `False` also while that is not known yet: a search is bounded, and a later call goes on with it.

        Args:
            outpoint: the anchor.
            depth: confirmations from which on a spend is final; at least 1.
            since_height: a height at which the caller has seen the anchor unspent; shortens the search.
        """


class BitcoinNode:
    """A `BitcoinView` of a bitcoind."""

    def __init__(self, call: Call, *, network: Network, search_blocks_max: int = SEARCH_BLOCKS_MAX) -> None:
        """Ask through `call`, from up to four threads at once.

        Args:
            call: one JSON-RPC call.
            network: which chain it must be of.
            search_blocks_max: blocks looked through in one search.
        """
        self._rpc = BitcoinRpc(call)
        self._network = network
        self._search_blocks_max = search_blocks_max
        self._pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="bitcoin-node")
        self._searching = asyncio.Lock()
        self._searched: OrderedDict[Outpoint, Searched | Spend] = OrderedDict()

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        network: Network,
        cookie_file: Path | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Self:
        """A node by its RPC address. Nothing is asked yet: see `check`.

        Args:
            url: `http://` on this machine, or `https://` anywhere.
            network: which chain it must be of.
            cookie_file: read anew for every call, since bitcoind writes a new one at every start; or
            user: `rpcauth` user, and
            password: its password.
            timeout_seconds: for each call.

        Raises:
            ValueError: the address would send the password in the clear, or not exactly one way to log in.
        """
        _require_private(url)
        client = BitcoinCoreRpcClient(
            url, user=user, password=password, cookie_path=cookie_file, timeout=timeout_seconds
        )
        return cls(partial(client.call, max_body_size=ANSWER_BYTES_MAX), network=network)

    async def check(self) -> None:
        """Refuse a node that cannot serve this signer.

        Raises:
            NodeUnfit: another chain, or no transaction index.
            NodeUnavailable: no answer, or the index is still being built.
        """
        await self._run(self._check)

    async def tip(self) -> BitcoinTip:
        """The best block."""
        return await self._run(self._rpc.tip)

    async def confirmed_output(self, outpoint: Outpoint) -> ConfirmedOutput | None:
        """An unspent output of the best chain; `None` where there is none."""
        found = await self._run(partial(self._rpc.unspent, outpoint))
        return found.output if found else None

    async def anchor_spent_at_finality(
        self, outpoint: Outpoint, *, depth: int, since_height: int = 0
    ) -> bool:
        """Whether a transaction with at least `depth` confirmations spends the outpoint.

        See `BitcoinView`. A node keeps no index of spends, so the blocks since the anchor was last seen
        unspent are looked through, each once.
        """
        if depth < 1:
            raise ValueError("a spend is final after one confirmation at the earliest")
        async with self._searching:
            return await self._run(partial(self._spent_at, outpoint, depth, since_height))

    def close(self) -> None:
        """Let the threads end. Calls under way end by their time-out."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, ask: Callable[[], T]) -> T:
        """Ask in a thread; whatever cannot be relied on is `NodeUnavailable`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        except (FetchError, AnswerMalformed) as error:
            raise NodeUnavailable(str(error)) from error
        except (TypeError, ValueError) as error:
            raise NodeUnavailable(f"an answer of another form: {error}") from error

    def _check(self) -> None:
        chain, genesis = self._rpc.chain(), self._rpc.block_at(0)
        if (chain, genesis) != (_CHAINS[self._network], self._network.bitcoin_genesis):
            raise NodeUnfit(f"a node of chain {chain} with genesis block {genesis}, not of {self._network}")
        if not self._rpc.transaction_index_synced():
            raise NodeUnavailable("the transaction index is still being built")

    def _spent_at(self, outpoint: Outpoint, depth: int, since_height: int) -> bool:
        found = self._find(outpoint, depth, since_height)
        return isinstance(found, Spend) and self._rpc.confirmations(found.block.block_hash) >= depth

    def _find(self, outpoint: Outpoint, depth: int, since_height: int) -> Searched | Spend | None:
        """What is known of the spend after this call; `None` where not even the anchor is on the chain."""
        known = self._known(outpoint)
        if isinstance(known, Spend):
            return known
        unspent = self._rpc.unspent(outpoint)
        if unspent is not None:
            upto = Block(height=unspent.as_of_height, block_hash=unspent.as_of)
            return self._remember(outpoint, Searched(upto=upto))
        after = known.upto if known else self._start(outpoint, since_height)
        if after is None:
            return None
        try:
            found = search(
                self._rpc,
                outpoint,
                after=after,
                until_height=self._rpc.tip().height - depth + 1,
                blocks_max=self._search_blocks_max,
            )
        except ChainMoved:
            self._searched.pop(outpoint, None)
            return None
        return self._remember(outpoint, found)

    def _known(self, outpoint: Outpoint) -> Searched | Spend | None:
        """What earlier calls found, unless a reorganisation has made it void."""
        known = self._searched.get(outpoint)
        if known is None:
            return None
        block = known.block if isinstance(known, Spend) else known.upto
        if self._rpc.confirmations(block.block_hash) < 1:
            del self._searched[outpoint]
            return None
        return known

    def _remember(self, outpoint: Outpoint, found: Searched | Spend) -> Searched | Spend:
        self._searched[outpoint] = found
        self._searched.move_to_end(outpoint)
        while len(self._searched) > ANCHORS_MAX:
            self._searched.popitem(last=False)
        return found

    def _start(self, outpoint: Outpoint, since_height: int) -> Block | None:
        """The block below the first that could spend the anchor: its own, or one near the hint."""
        made_in = self._rpc.block_of(outpoint.txid)
        if made_in is None:
            return None
        first = max(1, self._rpc.height_of(made_in), since_height - REORG_MARGIN_BLOCKS)
        below = min(first, self._rpc.tip().height) - 1
        return Block(height=below, block_hash=self._rpc.block_at(below))


def _require_private(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1"}):
        raise ValueError("a node is reached by https, or by http on 127.0.0.1 or [::1]")
