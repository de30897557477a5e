"""What one Bitcoin block did at a million watched scripts, without building its objects.

Pure: bytes in, activity out. The walk reads only what it needs of each transaction (outpoints spent, amounts
and scripts made) and hashes each once, so that the block's bytes are proven to be those of its hash. General
libraries build an object per script and per input; on a mainnet block that costs seven times as much, all of
it with the interpreter held.

Sources: BIP-144 (serialisation with witnesses); CVE-2012-2459 (the Merkle tree's repeated last node);
CVE-2017-12842 (two transaction ids read as one transaction of 64 bytes).
"""

import struct
from dataclasses import dataclass, field
from hashlib import sha256

from custody.application.ports.chains import (
    Arrival,
    BitcoinWatch,
    BlockActivity,
    BlockHeader,
    ChainDataInvalid,
    TransactionActivity,
)
from custody.domain.deposit import Outpoint
from signers.statements.amounts import Sats
from signers.statements.identifiers import BlockHash, ScriptPubKey, TxId

BLOCK_BYTES_MAX = 4_000_000
"""Consensus: a block weighs at most 4,000,000, so no serialisation is longer (BIP-141)."""
HEADER_BYTES = 80
TRANSACTION_BYTES_MIN = 60
"""Version, one input, one output, lock time: nothing valid is shorter."""

_COINBASE_INPUT = bytes(32) + b"\xff" * 4
"""What the one input of a coinbase spends, and no other input."""

_U16 = struct.Struct("<H").unpack_from
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from


def match_block(raw: bytes, *, block: BlockHeader, watch: BitcoinWatch) -> BlockActivity:
    """What `block` did at the watched scripts and outpoints.

    Args:
        raw: the block as serialised with witnesses.
        block: the block it must be.
        watch: what to look for.

    Raises:
        ChainDataInvalid: the bytes are malformed, or are not those of `block`.
    """
    if not HEADER_BYTES < len(raw) <= BLOCK_BYTES_MAX:
        raise ChainDataInvalid(f"a block of {len(raw)} bytes")
    if (
        header_hash(raw[:HEADER_BYTES]) != block.block_hash
        or header_parent(raw[:HEADER_BYTES]) != block.parent
    ):
        raise ChainDataInvalid(f"the bytes are not those of block {block.block_hash}")
    walk = _Walk(raw, watch)
    try:
        walk.transactions()
    except (struct.error, IndexError) as error:
        raise ChainDataInvalid(f"block {block.block_hash} ends within a transaction") from error
    if _merkle_root(walk.txids) != raw[36:68]:
        raise ChainDataInvalid(f"the transactions are not those of block {block.block_hash}")
    return BlockActivity(block=block, transactions=tuple(walk.found))


def header_hash(header: bytes) -> BlockHash:
    """The hash of an 80-byte header, as people write it."""
    return BlockHash(_double_sha256(header)[::-1].hex())


def header_parent(header: bytes) -> BlockHash:
    """The hash of the block that an 80-byte header stands on."""
    return BlockHash(header[4:36][::-1].hex())


def transaction_id(raw: bytes) -> TxId:
    """The id of one serialised transaction, with or without witnesses.

    Raises:
        ChainDataInvalid: the bytes are not exactly one transaction.
    """
    walk = _Walk(raw, BitcoinWatch(scripts=frozenset(), outpoints=frozenset()))
    try:
        end = walk.transaction(0)
    except (struct.error, IndexError) as error:
        raise ChainDataInvalid("the bytes end within the transaction") from error
    if end != len(raw):
        raise ChainDataInvalid("bytes follow the transaction")
    return _txid(walk.txids[0])


def without_witnesses(raw: bytes) -> bytes:
    """One whole serialised transaction (see `transaction_id`) as its id is computed from: BIP-141.

    Anybody who pays us decides how many megabytes of witnesses their transaction carries; without them no
    transaction of a valid block is longer than 1,000,000 bytes.
    """
    if raw[4] != 0:
        return raw
    walk = _Walk(raw, BitcoinWatch(scripts=frozenset(), outpoints=frozenset()))
    _, after_inputs = walk.inputs(6)
    _, end = walk.outputs(after_inputs)
    return raw[:4] + raw[6:end] + raw[-4:]


def _double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def _txid(wire: bytes) -> TxId:
    return TxId(wire[::-1].hex())


def _outpoint(wire: bytes) -> Outpoint:
    return Outpoint(_txid(wire[:32]), _U32(wire, 32)[0])


@dataclass(slots=True)
class _Walk:
    """One pass over a block. Offsets are checked where a slice could silently come out short."""

    raw: bytes
    watch: BitcoinWatch
    txids: list[bytes] = field(default_factory=list)
    found: list[TransactionActivity] = field(default_factory=list)
    coinbases: list[tuple[int, int]] = field(default_factory=list)
    """The transactions that spend what a coinbase does: place in the block, number of inputs."""
    made_here: set[bytes] = field(default_factory=set)
    """Outpoints of this block's own arrivals: an output can be spent in the block that made it."""

    def transactions(self) -> None:
        """Walk the whole block.

        Raises:
            ChainDataInvalid, struct.error, IndexError: it is malformed.
        """
        count, at = self.count(HEADER_BYTES, smallest_bytes=TRANSACTION_BYTES_MIN)
        for _ in range(count):
            at = self.transaction(at)
        if at != len(self.raw):
            raise ChainDataInvalid("bytes follow the last transaction")
        # A level of the Merkle tree, read as transactions, has the same root and half as many. Nobody finds a
        # first pair of ids that reads as a coinbase.
        if self.coinbases != [(0, 1)]:
            raise ChainDataInvalid("not exactly the first transaction is a coinbase")

    def transaction(self, start: int) -> int:
        """Walk one transaction; where it ends."""
        raw = self.raw
        at = start + 4
        segwit = raw[at] == 0
        if segwit:
            if raw[at + 1] != 1:
                raise ChainDataInvalid("a transaction's extension flag is not 1")
            at += 2
        body = at
        spent, at = self.inputs(at)
        found, at = self.outputs(at)
        body_end = at
        if segwit:
            at = self.witnesses(at, len(spent))
        end = at + 4
        if end > len(raw):
            raise IndexError(end)
        if _COINBASE_INPUT in spent:
            self.coinbases.append((len(self.txids), len(spent)))
        wire = _double_sha256(raw[start : start + 4] + raw[body:body_end] + raw[at:end])
        self.txids.append(wire)
        self.record(wire, spent, found)
        return end

    def inputs(self, at: int) -> tuple[list[bytes], int]:
        """The outpoints a transaction spends, as on the wire."""
        raw = self.raw
        count, at = self.count(at, smallest_bytes=41)
        spent = []
        for _ in range(count):
            spent.append(raw[at : at + 36])
            length = raw[at + 36]
            at += 37
            if length >= 0xFD:
                length, at = self.long_size(at - 1)
            at += length + 4
        return spent, at

    def outputs(self, at: int) -> tuple[list[tuple[int, int, bytes]], int]:
        """The outputs at watched scripts: index, amount in satoshi, script."""
        raw, scripts = self.raw, self.watch.scripts
        count, at = self.count(at, smallest_bytes=9)
        found = []
        for index in range(count):
            amount_at = at
            length = raw[at + 8]
            at += 9
            if length >= 0xFD:
                length, at = self.long_size(at - 1)
            script = raw[at : at + length]
            at += length
            if script in scripts:
                found.append((index, _U64(raw, amount_at)[0], script))
        return found, at

    def witnesses(self, at: int, inputs: int) -> int:
        """Skip the witness stacks; where they end."""
        raw = self.raw
        for _ in range(inputs):
            items, at = self.count(at, smallest_bytes=1)
            for _ in range(items):
                length = raw[at]
                at += 1
                if length >= 0xFD:
                    length, at = self.long_size(at - 1)
                at += length
        return at

    def count(self, at: int, *, smallest_bytes: int) -> tuple[int, int]:
        """A CompactSize that counts things, bounded by what could still fit: a lie about it costs nothing."""
        count = self.raw[at]
        at += 1
        if count >= 0xFD:
            count, at = self.long_size(at - 1)
        if count * smallest_bytes > len(self.raw) - at:
            raise ChainDataInvalid(f"{count} items do not fit into what is left")
        return count, at

    def long_size(self, at: int) -> tuple[int, int]:
        """A CompactSize of three, five or nine bytes."""
        marker = self.raw[at]
        if marker == 0xFD:
            return _U16(self.raw, at + 1)[0], at + 3
        if marker == 0xFE:
            return _U32(self.raw, at + 1)[0], at + 5
        return _U64(self.raw, at + 1)[0], at + 9

    def record(self, wire: bytes, spent: list[bytes], found: list[tuple[int, int, bytes]]) -> None:
        """Keep what concerns us."""
        outpoints, made_here = self.watch.outpoints, self.made_here
        ours = [each for each in spent if each in outpoints or each in made_here]
        if not ours and not found:
            return
        made_here.update(wire + index.to_bytes(4, "little") for index, _, _ in found)
        txid = _txid(wire)
        self.found.append(
            TransactionActivity(
                txid=txid,
                spends=tuple(map(_outpoint, ours)),
                arrivals=tuple(_arrival(txid, *each) for each in found),
            )
        )


def _arrival(txid: TxId, index: int, amount: int, script: bytes) -> Arrival:
    try:
        return Arrival(outpoint=Outpoint(txid, index), script=ScriptPubKey(script.hex()), amount=Sats(amount))
    except ValueError as error:
        raise ChainDataInvalid(f"output {index} of {txid}: {error}") from error


def _merkle_root(level: list[bytes]) -> bytes:
    """The root over transaction ids.

    Raises:
        ChainDataInvalid: no transaction, or two equal neighbours: another list would have the same root
            (CVE-2012-2459), and no valid block holds a transaction twice.
    """
    if not level:
        raise ChainDataInvalid("a block without transactions")
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
            pairs = len(level) // 2 - 1
        else:
            pairs = len(level) // 2
        if any(level[2 * i] == level[2 * i + 1] for i in range(pairs)):
            raise ChainDataInvalid("a block repeats transactions")
        level = [_double_sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]
