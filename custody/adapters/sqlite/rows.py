"""Rows of the tables that have columns, into the records they stand for, and back."""

import functools
from typing import Any, Final

from custody.domain.account import AccountState, Halt, PledgeAccount
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, CoinOrigin, Deposit, DepositState, Outpoint
from custody.domain.identifiers import DepositId, TransactionId, WithdrawalId
from custody.domain.ledger import Balances, Book, Cause, CauseKind, Posting
from custody.domain.lien import Lien, LienState
from signers.statements.account import Enforcement, Party
from signers.statements.amounts import Asset, Sats, amount_of
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    BlockHash,
    Digest,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    LienId,
    ScriptPubKey,
    Seconds,
)

Row = tuple[Any, ...]

ACCOUNT_COLUMNS: Final = (
    "account, pledgor, pledgor_key, secured_party, secured_party_key, custodian, custodian_key,"
    " enforcement_bitcoin, enforcement_ethereum, policy_digest, created_at,"
    " state, halts, sequence, encumbrance_sequence, encumbrance_head, statement_digest, script_pubkey,"
    " ethereum_address, updated_at"
)
BALANCE_COLUMNS: Final = (
    "external, pending, available, reserved, posted, withdrawing, network_fees, reorg_shortfall"
)
DEPOSIT_COLUMNS: Final = (
    "account, deposit, asset, units, state, txid, output_index, height, block_hash, created_at, updated_at,"
    " credited_at, reversed_at"
)
COIN_COLUMNS: Final = (
    "txid, output_index, account, units, origin, height, block_hash, spent_by, spent_height, spent_hash,"
    " planned_for"
)
LIEN_QUERY: Final = (
    "SELECT l.account, l.lien, l.asset, l.units, l.state, e.envelope, e.digest, l.encumbrance_sequence,"
    " l.account_sequence, l.expires_at, l.posted_at, l.ended_at, l.created_at, l.updated_at"
    " FROM liens l JOIN encumbrances e ON e.account = l.account AND e.sequence = l.encumbrance_sequence"
)
POSTING_QUERY: Final = (
    "SELECT p.account, p.sequence, p.posting, p.debit, p.credit, p.asset, p.units, c.kind, c.reference, c.at"
    " FROM postings p JOIN changes c ON c.account = p.account AND c.sequence = p.sequence"
)


def plain(text: str | None) -> str | None:
    """The `str` itself: for every parameter of a subclass sqlite3 looks for an adapter, which adds up."""
    return None if text is None else str(text)


@functools.lru_cache(maxsize=65_536)
def _terms(*columns: str) -> tuple[AccountId, Party, Party, Party, Enforcement, Digest]:
    """What never changes of an account: checked once, then shared."""
    account, pledgor, pledgor_key, secured, secured_key, custodian, custodian_key, *rest = columns
    bitcoin, ethereum, policy_digest = rest
    return (
        AccountId(account),
        Party(entity=EntityId(pledgor), public_key=Ed25519Key(pledgor_key)),
        Party(entity=EntityId(secured), public_key=Ed25519Key(secured_key)),
        Party(entity=EntityId(custodian), public_key=Ed25519Key(custodian_key)),
        Enforcement(bitcoin=ScriptPubKey(bitcoin), ethereum=EthereumAddress(ethereum)),
        Digest(policy_digest),
    )


@functools.lru_cache(maxsize=65_536)
def _addresses(
    statement: str | None, script: str | None, address: str | None
) -> tuple[Digest | None, ScriptPubKey | None, EthereumAddress | None]:
    return (
        None if statement is None else Digest(statement),
        None if script is None else ScriptPubKey(script),
        None if address is None else EthereumAddress(address),
    )


@functools.cache
def _halts(text: str) -> frozenset[Halt]:
    return frozenset(Halt(halt) for halt in text.split(",") if halt)


def account(row: Row) -> PledgeAccount:
    """An account of `ACCOUNT_COLUMNS`."""
    name, pledgor, secured, custodian, enforcement, policy = _terms(*row[:10])
    created, state, halts, sequence, encumbrances, head, statement, script, address, updated = row[10:]
    digest, script_pubkey, ethereum_address = _addresses(statement, script, address)
    return PledgeAccount(
        account=name,
        pledgor=pledgor,
        secured_party=secured,
        custodian=custodian,
        enforcement=enforcement,
        policy_digest=policy,
        state=AccountState(state),
        halts=_halts(halts),
        sequence=sequence,
        encumbrance_sequence=encumbrances,
        encumbrance_head=Digest(head),
        statement_digest=digest,
        script_pubkey=script_pubkey,
        ethereum_address=ethereum_address,
        created_at=created,
        updated_at=updated,
    )


def account_terms(record: PledgeAccount) -> Row:
    """The columns of an account that never change."""
    return (
        record.account,
        record.pledgor.entity,
        record.pledgor.public_key,
        record.secured_party.entity,
        record.secured_party.public_key,
        record.custodian.entity,
        record.custodian.public_key,
        record.enforcement.bitcoin,
        record.enforcement.ethereum,
        record.policy_digest,
        record.created_at,
    )


def account_changes(record: PledgeAccount) -> Row:
    """The columns of an account that change."""
    return (
        str(record.state),
        ",".join(sorted(record.halts)) if record.halts else "",
        record.sequence,
        record.encumbrance_sequence,
        str(record.encumbrance_head),
        plain(record.statement_digest),
        plain(record.script_pubkey),
        plain(record.ethereum_address),
        record.updated_at,
    )


def balances(asset: Asset, row: Row | None) -> Balances:
    """Books of `BALANCE_COLUMNS`; all zero without a row."""
    return Balances(asset) if row is None else Balances(asset, *map(int, row))


def posting(row: Row) -> Posting:
    """A posting of `POSTING_QUERY`."""
    name, sequence, index, debit, credit, asset, units, kind, reference, at = row
    return Posting(
        account=AccountId(name),
        sequence=sequence,
        index=index,
        debit=Book(debit),
        credit=Book(credit),
        amount=amount_of(Asset(asset), int(units)),
        cause=Cause(CauseKind(kind), reference),
        at=at,
    )


def lien(row: Row) -> Lien:
    """A lien of `LIEN_QUERY`."""
    name, lien_id, asset, units, state, envelope, digest, encumbrance, sequence, expires, *times = row
    posted, ended, created, updated = times
    return Lien(
        account=AccountId(name),
        lien=LienId(lien_id),
        amount=amount_of(Asset(asset), int(units)),
        state=LienState(state),
        envelope=Envelope.from_json(envelope),
        digest=Digest(digest),
        encumbrance_sequence=encumbrance,
        account_sequence=sequence,
        expires_at=expires,
        posted_at=posted,
        ended_at=ended,
        created_at=created,
        updated_at=updated,
    )


def block(height: int | None, block_hash: str | None) -> BlockRef | None:
    """A block of two columns that are there together or not at all."""
    if height is None or block_hash is None:
        return None
    return BlockRef(height, BlockHash(block_hash))


def deposit(row: Row) -> Deposit:
    """A deposit of `DEPOSIT_COLUMNS`."""
    name, deposit_id, asset, units, state, txid, index, height, block_hash, *times = row
    created, updated, credited, reversed_ = times
    return Deposit(
        account=AccountId(name),
        deposit_id=DepositId(deposit_id),
        amount=amount_of(Asset(asset), int(units)),
        state=DepositState(state),
        outpoint=None if txid is None else Outpoint(TransactionId(txid), index),
        block=BlockRef(height, BlockHash(block_hash)),
        created_at=Seconds(created),
        updated_at=Seconds(updated),
        credited_at=credited,
        reversed_at=reversed_,
    )


def deposit_row(record: Deposit) -> Row:
    """The values of `DEPOSIT_COLUMNS`."""
    outpoint = record.outpoint
    return (
        record.account,
        record.deposit_id,
        record.amount.asset.value,
        str(record.amount.units),
        record.state.value,
        outpoint.txid if outpoint else None,
        outpoint.index if outpoint else None,
        record.block.height,
        record.block.block_hash,
        record.created_at,
        record.updated_at,
        record.credited_at,
        record.reversed_at,
    )


def coin(row: Row) -> Coin:
    """A coin of `COIN_COLUMNS`."""
    txid, index, name, units, origin, height, block_hash, spent_by, spent_height, spent_hash, planned = row
    return Coin(
        outpoint=Outpoint(TransactionId(txid), index),
        account=AccountId(name),
        amount=Sats(int(units)),
        origin=CoinOrigin(origin),
        block=block(height, block_hash),
        spent_by=None if spent_by is None else TransactionId(spent_by),
        spent_at=block(spent_height, spent_hash),
        planned_for=None if planned is None else WithdrawalId(planned),
    )


def coin_row(record: Coin) -> Row:
    """The values of `COIN_COLUMNS`."""
    return (
        record.outpoint.txid,
        record.outpoint.index,
        record.account,
        str(record.amount.units),
        record.origin.value,
        record.block.height if record.block else None,
        record.block.block_hash if record.block else None,
        record.spent_by,
        record.spent_at.height if record.spent_at else None,
        record.spent_at.block_hash if record.spent_at else None,
        record.planned_for,
    )
