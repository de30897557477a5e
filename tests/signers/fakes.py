"""What stands at a signer's ports in tests: chains that a test writes, the world's keys, peers in memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from bip322core import build_to_sign, build_to_spend, encode_simple
from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxOut, b2lx, lx
from bitcoin.core.script import CScript
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from embit.script import Script
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from signers.bitcoin.coins import Coin, ConfirmedOutput, Outpoint
from signers.bitcoin.node import NodeUnavailable as BitcoinNodeUnavailable
from signers.bitcoin.node import NodeUnfit as BitcoinNodeUnfit
from signers.bitcoin.rpc import BitcoinTip
from signers.ethereum.node import EthereumBlock, NodeUnfit
from signers.ethereum.node import NodeUnavailable as EthereumNodeUnavailable
from signers.keys.port import KeyRef, KeyUnknown, PublicKey, RecoverableSignature
from signers.peers.port import PeerUnavailable
from signers.rules import answers
from signers.rules.signer import Signer
from signers.statements.allowlist import Destination
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope, public_key_of
from signers.statements.identifiers import (
    BlockHash,
    Digest,
    EthereumAddress,
    Nonce,
    Proof,
    Seconds,
    SignerId,
    TxId,
)
from signers.statements.intent import OutpointAnchor
from signers.statements.receipt import Act


def real_proof(message: str, destination: Destination, key: PrivateKey) -> Proof:
    """What the destination's wallet would sign: BIP-322 simple for P2WPKH, EIP-191 for an address."""
    if destination.kind == "ethereum":
        signed = EthAccount.sign_message(encode_defunct(text=message), private_key=key.secret)
        return Proof(bytes(signed.signature).hex())
    script = destination.script_pubkey.raw
    to_sign = build_to_sign(build_to_spend(message.encode(), script).txid())
    code = Script(b"\x76\xa9\x14" + script[2:] + b"\x88\xac")
    signature = key.sign(to_sign.sighash_segwit(0, code, 0, 1), hasher=None) + b"\x01"
    return Proof(encode_simple([signature, key.public_key.format()]))


class WorldKeys:
    """`AccountKeys` over private keys that the test knows."""

    def __init__(self, keys: dict[str, PrivateKey]) -> None:
        self._keys = keys
        self.before_signing: Callable[[], None] = lambda: None

    def replace(self, asset: Asset, key: PrivateKey) -> None:
        self._keys[asset.value] = key

    async def create_key(self, ref: KeyRef) -> PublicKey:
        return await self.public_key(ref)

    async def public_key(self, ref: KeyRef) -> PublicKey:
        if ref.chain not in self._keys:
            raise KeyUnknown(ref)
        return PublicKey(self._keys[ref.chain].public_key.format())

    async def sign(self, ref: KeyRef, digest: bytes) -> RecoverableSignature:
        self.before_signing()
        raw = self._keys[ref.chain].sign_recoverable(digest, hasher=None)
        return RecoverableSignature(
            r=int.from_bytes(raw[:32], "big"), s=int.from_bytes(raw[32:64], "big"), recovery_id=raw[64]
        )


class WorldStatementSigner:
    """`StatementSigner` over a key that the test knows."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        return str(public_key_of(self._key).key_id)

    @property
    def public_key(self) -> bytes:
        return public_key_of(self._key).raw

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass
class FakeBitcoinNode:
    """A chain that the test mines. Transactions are believed, blocks are names."""

    now: Callable[[], Seconds]
    salt: int = 0
    down: bool = False
    unfit: bool = False
    """Of another chain, or without index of transactions."""
    blocks: list[tuple[BlockHash, Seconds, list[CTransaction]]] = field(default_factory=list)

    def mine(self, *transactions: CTransaction, count: int = 1) -> None:
        for index in range(count):
            self.salt += 1
            name = hashlib.sha256(f"block {self.salt}".encode()).hexdigest()
            self.blocks.append((BlockHash(name), self.now(), list(transactions) if index == 0 else []))

    def reorganise(self, depth: int) -> list[CTransaction]:
        """Drop blocks and mine as many empty ones and one more; what was in them is returned."""
        dropped = [each for _, _, transactions in self.blocks[-depth:] for each in transactions]
        del self.blocks[-depth:]
        self.mine(count=depth + 1)
        return dropped

    def fund(self, script: bytes, units: int, *, seed: int) -> Coin:
        """A confirmed coin."""
        transaction = CTransaction(
            [CTxIn(COutPoint(hashlib.sha256(f"funding {seed}".encode()).digest(), seed))],
            [CTxOut(units, CScript(script))],
        )
        self.mine(transaction)
        return Coin(previous_transaction=transaction.serialize(), index=0)

    def spend(self, coin: Coin) -> CTransaction:
        """Someone spends a coin in the next block."""
        anchor = anchor_of(coin)
        transaction = CTransaction(
            [CTxIn(COutPoint(lx(anchor.txid), anchor.index))], [CTxOut(1_000, CScript(b"\x51"))]
        )
        self.mine(transaction)
        return transaction

    def _require_up(self) -> None:
        if self.down:
            raise BitcoinNodeUnavailable("down")

    async def check(self) -> None:
        self._require_up()
        if self.unfit:
            raise BitcoinNodeUnfit("of another chain")

    async def tip(self) -> BitcoinTip:
        self._require_up()
        times = sorted(time for _, time, _ in self.blocks[-11:])
        block_hash, time, _ = self.blocks[-1]
        return BitcoinTip(
            height=len(self.blocks) - 1,
            block_hash=block_hash,
            time=time,
            median_time_past=times[len(times) // 2],
        )

    async def confirmed_output(self, outpoint: Outpoint) -> ConfirmedOutput | None:
        self._require_up()
        if self._spent_in(outpoint) is not None:
            return None
        for height, (_, _, transactions) in enumerate(self.blocks):
            for each in transactions:
                if b2lx(each.GetTxid()) == outpoint.txid and outpoint.index < len(each.vout):
                    output = each.vout[outpoint.index]
                    return ConfirmedOutput(
                        value=Sats(output.nValue), script=bytes(output.scriptPubKey), height=height
                    )
        return None

    async def anchor_spent_at_finality(
        self, outpoint: Outpoint, *, depth: int, since_height: int = 0
    ) -> bool:
        self._require_up()
        height = self._spent_in(outpoint)
        return height is not None and len(self.blocks) - height >= depth

    def _spent_in(self, outpoint: Outpoint) -> int | None:
        for height, (_, _, transactions) in enumerate(self.blocks):
            for each in transactions:
                if any(
                    (b2lx(txin.prevout.hash), txin.prevout.n) == (outpoint.txid, outpoint.index)
                    for txin in each.vin
                ):
                    return height
        return None


def anchor_of(coin: Coin) -> OutpointAnchor:
    """The coin as an intent names it."""
    transaction = CTransaction.deserialize(coin.previous_transaction)
    return OutpointAnchor(txid=TxId(b2lx(transaction.GetTxid())), index=coin.index)


@dataclass
class FakeEthereumNode:
    """A chain that the test mines: a nonce per address, and how far it is final."""

    now: Callable[[], Seconds]
    chain: int = 31_337
    expected_chain: int = 31_337
    balances: dict[EthereumAddress, Wei] = field(default_factory=dict)
    salt: int = 0
    down: bool = False
    finality_depth: int = 2
    blocks: list[tuple[BlockHash, Seconds, dict[EthereumAddress, int]]] = field(default_factory=list)

    def mine(self, *senders: EthereumAddress, count: int = 1) -> None:
        """Blocks; the first of them holds one transaction of each sender."""
        for index in range(count):
            self.salt += 1
            name = hashlib.sha256(f"ethereum block {self.salt}".encode()).hexdigest()
            nonces = dict(self.blocks[-1][2]) if self.blocks else {}
            for sender in senders if index == 0 else ():
                nonces[sender] = nonces.get(sender, 0) + 1
            self.blocks.append((BlockHash(name), self.now(), nonces))

    def reorganise(self, depth: int) -> None:
        """Drop blocks with all that was in them, and mine one more than before, empty."""
        del self.blocks[-depth:]
        self.mine(count=depth + 1)

    def _require_up(self) -> None:
        if self.down:
            raise EthereumNodeUnavailable("down")

    async def check(self) -> None:
        self._require_up()
        if self.chain != self.expected_chain:
            raise NodeUnfit(f"chain {self.chain}")

    async def tip(self) -> EthereumBlock:
        self._require_up()
        block_hash, time, _ = self.blocks[-1]
        return EthereumBlock(height=len(self.blocks) - 1, block_hash=block_hash, time=time)

    async def next_nonce(self, address: EthereumAddress) -> int:
        self._require_up()
        return self.blocks[-1][2].get(address, 0)

    async def balance(self, address: EthereumAddress) -> Wei:
        self._require_up()
        return self.balances.get(address, Wei(0))

    async def anchor_spent_at_finality(self, address: EthereumAddress, *, nonce: int) -> bool:
        self._require_up()
        return self.blocks[self._final_height][2].get(address, 0) > nonce

    @property
    def _final_height(self) -> int:
        return max(0, len(self.blocks) - 1 - self.finality_depth)


@dataclass
class FakePeers:
    """`Peers` in memory: the other signers answer, unless they are down."""

    signers: dict[SignerId, Signer] = field(default_factory=dict)
    down: set[SignerId] = field(default_factory=set)

    async def announce_receipt(self, peer: SignerId, intent_digest: Digest) -> Envelope | None:
        return await answers.receipt(self._reached(peer), intent_digest, Act.ANNOUNCED)

    async def journal_head(self, peer: SignerId, *, subject: SignerId, nonce: Nonce) -> Envelope:
        return await answers.journal_head(self._reached(peer), subject, nonce)

    def _reached(self, peer: SignerId) -> Signer:
        if peer in self.down or peer not in self.signers:
            raise PeerUnavailable(f"{peer} does not answer")
        return self.signers[peer]
