"""The signer's own Ethereum node: what is on the chain, asked of nobody else.

Whatever goes wrong is `NodeUnavailable`, and the caller refuses.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientTimeout
from eth_utils.address import to_checksum_address
from web3 import AsyncBaseProvider, AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import Web3Exception

from signers.statements.amounts import Wei
from signers.statements.identifiers import BlockHash, EthereumAddress, Seconds
from signers.statements.network import Network

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 15.0

Block = Literal["latest", "finalized"]
"""As of which block a question is asked."""


class NodeUnavailable(Exception):  # noqa: N818 - it says what is the case
    """The node did not answer, or not in a way that can be relied on. Nothing is known; try again later."""


class NodeUnfit(Exception):  # noqa: N818 - it says what is the case
    """The node is of another chain. A person has to change something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumBlock:
    """One block of the chain."""

    height: int
    block_hash: BlockHash
    time: Seconds
    """The block's own time stamp."""


class EthereumView(Protocol):
    """What a signer asks of its node. Every method raises `NodeUnavailable`."""

    async def check(self) -> None:
        """Raises `NodeUnfit` where it is of another chain."""

    async def tip(self) -> EthereumBlock:
        """The latest block."""

    async def next_nonce(self, address: EthereumAddress) -> int:
        """The nonce of an account's next transaction as of the latest block, not of the mempool."""

    async def balance(self, address: EthereumAddress) -> Wei:
        """What an account holds, as of the latest block."""

    async def anchor_spent_at_finality(self, address: EthereumAddress, *, nonce: int) -> bool:
        """Whether a transaction of the account with this nonce is in the finalised chain."""


class EthereumNode:
    """An `EthereumView` of an Ethereum node."""

    def __init__(self, provider: AsyncBaseProvider, *, network: Network) -> None:
        """Ask through `provider`, which must be of the chain of `network`."""
        self._web3 = AsyncWeb3(provider, middleware=[])
        self._network = network

    @classmethod
    def connect(cls, url: str, *, network: Network, timeout_seconds: float = TIMEOUT_SECONDS) -> Self:
        """A node by its RPC address. Nothing is asked yet: see `check`.

        Args:
            url: `https://`; on regtest also `http://` on this machine.
            network: which chain it must be of.
            timeout_seconds: for each call.

        Raises:
            ValueError: another kind of address.
        """
        _require_private(url, network)
        return cls(
            AsyncHTTPProvider(
                url,
                request_kwargs={"timeout": ClientTimeout(total=timeout_seconds)},
                exception_retry_configuration=None,
            ),
            network=network,
        )

    async def check(self) -> None:
        """Refuse a node of another chain.

        Raises:
            NodeUnfit: it is one.
            NodeUnavailable: no answer.
        """
        chain_id = _integer(await _ask(self._web3.eth.chain_id))
        if chain_id != self._network.chain_id:
            raise NodeUnfit(f"a node of chain {chain_id}, not {self._network.chain_id}")

    async def tip(self) -> EthereumBlock:
        """The latest block."""
        found: Mapping[str, Any] = await _ask(self._web3.eth.get_block("latest"))
        try:
            return EthereumBlock(
                height=_integer(found["number"]),
                block_hash=BlockHash(bytes(found["hash"]).hex()),
                time=Seconds(_integer(found["timestamp"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NodeUnavailable(f"a block of another form: {error}") from error

    async def next_nonce(self, address: EthereumAddress) -> int:
        """The nonce of an account's next transaction as of the latest block."""
        return await self._nonce(address, "latest")

    async def balance(self, address: EthereumAddress) -> Wei:
        """What an account holds, as of the latest block."""
        units = await _ask(self._web3.eth.get_balance(to_checksum_address("0x" + address), "latest"))
        try:
            return Wei(units)
        except (TypeError, ValueError) as error:
            raise NodeUnavailable(f"a balance that cannot exist: {error}") from error

    async def anchor_spent_at_finality(self, address: EthereumAddress, *, nonce: int) -> bool:
        """Whether a transaction of the account with this nonce is in the finalised chain."""
        return await self._nonce(address, "finalized") > nonce

    async def close(self) -> None:
        """Close the connections."""
        await self._web3.provider.disconnect()

    async def _nonce(self, address: EthereumAddress, block: Block) -> int:
        nonce = await _ask(self._web3.eth.get_transaction_count(to_checksum_address("0x" + address), block))
        return _integer(nonce)


async def _ask(question: Awaitable[T]) -> T:
    """The answer; whatever cannot be relied on is `NodeUnavailable`."""
    try:
        return await question
    except (Web3Exception, ClientError, OSError, TimeoutError) as error:
        raise NodeUnavailable(f"{type(error).__name__}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise NodeUnavailable(f"an answer of another form: {error}") from error


def _integer(value: object) -> int:
    if type(value) is not int or value < 0:
        raise NodeUnavailable(f"{type(value).__name__} where a natural number is expected")
    return value


def _require_private(url: str, network: Network) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1"}
    if parts.scheme != "https" and not (local and network is Network.REGTEST):
        raise ValueError("a node is reached by https; on regtest also by http on 127.0.0.1 or [::1]")
