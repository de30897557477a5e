"""Whatever a node answers, it is an answer or one of the conditions that `ask` and the run loop know."""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.adapters.agreement import ask
from custody.adapters.bitcoin_node import BitcoinNode
from custody.adapters.ethereum_node import EthereumNode
from custody.adapters.json_rpc import Endpoint, JsonRpc
from custody.application.ports.chains import BitcoinWatch, BlockHeader, ChainError
from custody.main import RECURSION_LIMIT
from signers.statements.identifiers import BlockHash, EthereumAddress, ScriptPubKey, TxId
from signers.statements.network import Network

HASH = "ab" * 32
BLOCK = BlockHeader(height=7, block_hash=BlockHash(HASH), parent=BlockHash(HASH))
SCRIPT = ScriptPubKey("0014" + "ab" * 20)
WATCH = BitcoinWatch(scripts=frozenset(), outpoints=frozenset())


class Hostile(JsonRpc):
    """Answers every call with the same bytes, and never from a network."""

    answer: bytes

    def _exchange(self, body: bytes, limit: float) -> bytes:
        return self.answer


def bitcoin(rpc: JsonRpc) -> BitcoinNode:
    node = BitcoinNode(rpc, network=Network.REGTEST)
    node._known_right = True
    return node


def ethereum(rpc: JsonRpc) -> EthereumNode:
    node = EthereumNode(rpc, network=Network.REGTEST)
    node._known_right = True
    return node


QUESTIONS: dict[str, Callable[[JsonRpc], Awaitable[Any]]] = {
    "bitcoin.tip": lambda rpc: ask([bitcoin(rpc)], BitcoinNode.tip),
    "bitcoin.block_at": lambda rpc: ask([bitcoin(rpc)], lambda node: node.block_at(7)),
    "bitcoin.activity": lambda rpc: ask([bitcoin(rpc)], lambda node: node.activity(BLOCK, WATCH)),
    "bitcoin.raw_transaction": lambda rpc: ask(
        [bitcoin(rpc)], lambda node: node.raw_transaction(TxId(HASH), None)
    ),
    "bitcoin.knows": lambda rpc: ask([bitcoin(rpc)], lambda node: node._knows(TxId(HASH))),
    "bitcoin.broadcast": lambda rpc: ask([bitcoin(rpc)], lambda node: node.broadcast(b"\x02", TxId(HASH))),
    "bitcoin.fee_rate": lambda rpc: ask([bitcoin(rpc)], lambda node: node.fee_rate(6)),
    "bitcoin.unspent": lambda rpc: ask([bitcoin(rpc)], lambda node: node.unspent([SCRIPT])),
    "ethereum.head": lambda rpc: ask([ethereum(rpc)], EthereumNode.head),
    "ethereum.block_at": lambda rpc: ask([ethereum(rpc)], lambda node: node.block_at(7)),
    "ethereum.account_at": lambda rpc: ask(
        [ethereum(rpc)], lambda node: node.account_at(EthereumAddress("ab" * 20), BLOCK)
    ),
    "ethereum.fee_quote": lambda rpc: ask([ethereum(rpc)], EthereumNode.fee_quote),
    "ethereum.broadcast": lambda rpc: ask([ethereum(rpc)], lambda node: node.broadcast(b"\x02")),
    "ethereum.executed": lambda rpc: ask([ethereum(rpc)], lambda node: node.executed(TxId(HASH))),
}

NESTED = b"[" * 100_000 + b"]" * 100_000
HOSTILE = {
    "nested": b'{"result": ' + NESTED + b"}",
    "nested-error": b'{"error": ' + NESTED + b"}",
    "exponent": b'{"result": 1e999999999}',
    "exponents": b'{"result": {"feerate": 1e999999999, "mempoolminfee": 1e-8, "minrelaytxfee": 1e-8}}',
    "exponent-beyond-decimal": b'{"result": 1e99999999999999999999}',
    "exponent-as-code": b'{"error": {"code": 1e999999, "message": "x"}}',
    "long-integer": b'{"result": ' + b"9" * 100_000 + b"}",
    "no-block": b'{"error": {"code": -5, "message": "not found"}}',
    "null": b'{"result": null}',
}


@pytest.fixture(autouse=True)
def _limit_of_the_process() -> Iterator[None]:
    """As `custody.main` sets it; a library of the tests may have raised it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)


async def answered(question: str, answer: bytes) -> None:
    rpc = Hostile(Endpoint(name="liar", url="http://127.0.0.1:1"))
    rpc.answer = answer
    try:
        await QUESTIONS[question](rpc)
    except ChainError:
        pass
    finally:
        rpc.close()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
async def test_one_hostile_answer_ends_no_worker(question: str, answer: bytes) -> None:
    """Anything else would leave the worker, and with it the process, at every start again."""
    await answered(question, answer)


KEYS = (
    *("height", "blockhash", "success", "unspents", "bestblock", "feerate", "mempoolminfee", "minrelaytxfee"),
    *("txid", "vout", "scriptPubKey", "amount", "number", "hash", "parentHash", "stateRoot", "accountProof"),
    *(
        "status",
        "transactionHash",
        "blockNumber",
        "blockHash",
        "gasUsed",
        "effectiveGasPrice",
        "code",
        "message",
    ),
)
TEXTS = (
    st.sampled_from(["", HASH, f"0x{HASH}", SCRIPT, "0x0", "0x" + "f" * 64, "0x" + "f" * 65, "zz"])
    | st.text()
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=20,
)


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=40)
@given(data=st.data())
async def test_no_answer_ends_a_worker(question: str, data: st.DataObject) -> None:
    where = data.draw(st.sampled_from(["result", "error"]))
    await answered(question, json.dumps({where: data.draw(VALUES)}).encode())
