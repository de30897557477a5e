"""Deposits, liens, postings, prices and the policy, as messages."""

from typing import Final

from bailee.custody.v1 import cause_pb2, deposit_pb2, lien_pb2, policy_pb2, posting_pb2, price_pb2

from custody.application.ports.store import SignedPolicy
from custody.domain.deposit import Deposit, DepositState
from custody.domain.identifiers import etag_of
from custody.domain.ledger import CauseKind, Posting
from custody.domain.lien import Lien, LienState
from custody.domain.price import PublishedPrice
from custody.rpc.codec import names, values

DEPOSIT_STATES: Final = {
    DepositState.PENDING: deposit_pb2.Deposit.STATE_PENDING,
    DepositState.CREDITED: deposit_pb2.Deposit.STATE_CREDITED,
    DepositState.REVERSED: deposit_pb2.Deposit.STATE_REVERSED,
}
LIEN_STATES: Final = {
    LienState.RESERVED: lien_pb2.Lien.STATE_RESERVED,
    LienState.POSTED: lien_pb2.Lien.STATE_POSTED,
    LienState.VOIDED: lien_pb2.Lien.STATE_VOIDED,
    LienState.EXPIRED: lien_pb2.Lien.STATE_EXPIRED,
}
CAUSES: Final = {
    CauseKind.ACCOUNT: cause_pb2.CAUSE_ACCOUNT,
    CauseKind.HALT: cause_pb2.CAUSE_HALT,
    CauseKind.HALT_LIFTED: cause_pb2.CAUSE_HALT_LIFTED,
    CauseKind.DESTINATION: cause_pb2.CAUSE_DESTINATION,
    CauseKind.DEPOSIT: cause_pb2.CAUSE_DEPOSIT,
    CauseKind.DEPOSIT_REVERSED: cause_pb2.CAUSE_DEPOSIT_REVERSED,
    CauseKind.LIEN: cause_pb2.CAUSE_LIEN,
    CauseKind.WITHDRAWAL: cause_pb2.CAUSE_WITHDRAWAL,
    CauseKind.WITHDRAWAL_REOPENED: cause_pb2.CAUSE_WITHDRAWAL_REOPENED,
}


def deposit(of: Deposit, *, tip_height: int) -> deposit_pb2.Deposit:
    """A deposit, with its depth below `tip_height`."""
    gone = of.state is DepositState.REVERSED
    return deposit_pb2.Deposit(
        name=names.deposit(of.account, of.deposit_id),
        amount=values.amount(of.amount),
        state=DEPOSIT_STATES[of.state],
        transaction_id=of.outpoint.txid if of.outpoint else "",
        output_index=of.outpoint.index if of.outpoint else None,
        block_hash=of.block.block_hash,
        block_height=of.block.height,
        confirmations=0 if gone else max(0, tip_height - of.block.height + 1),
        credit_time=values.time(of.credited_at),
        reverse_time=values.time(of.reversed_at),
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=etag_of(None, f"{of.deposit_id} {of.state} {of.updated_at}"),
    )


def lien(of: Lien) -> lien_pb2.Lien:
    """A lien."""
    return lien_pb2.Lien(
        name=names.lien(of.account, of.lien),
        amount=values.amount(of.amount),
        state=LIEN_STATES[of.state],
        envelope=of.envelope.to_json(),
        statement_digest=of.digest,
        encumbrance_sequence=of.encumbrance_sequence,
        account_sequence=of.account_sequence,
        expire_time=values.time(of.expires_at),
        post_time=values.time(of.posted_at),
        end_time=values.time(of.ended_at),
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=etag_of(of.digest, of.state),
    )


def posting(of: Posting) -> posting_pb2.Posting:
    """A line of the ledger."""
    return posting_pb2.Posting(
        name=names.posting(of.account, of.sequence, of.index),
        account_sequence=of.sequence,
        amount=values.amount(of.amount),
        debit=of.debit,
        credit=of.credit,
        cause=CAUSES[of.cause.kind],
        resource=names.caused(of.account, of.cause),
        create_time=values.time(of.at),
    )


def price(of: PublishedPrice) -> price_pb2.Price:
    """A publisher's latest price of an asset."""
    return price_pb2.Price(
        name=names.price(of.publisher, of.asset),
        asset=values.ASSETS[of.asset],
        publisher=of.publisher,
        currency=of.currency,
        units=of.price,
        publisher_sequence=of.sequence,
        observe_time=values.time(of.at),
        envelope=of.envelope.to_json(),
        statement_digest=of.digest,
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=etag_of(of.digest, ""),
    )


def policy(of: SignedPolicy) -> policy_pb2.Policy:
    """The policy in force."""
    return policy_pb2.Policy(
        name=names.policy(of.policy.version),
        version=of.policy.version,
        digest=of.digest,
        envelope=of.envelope.to_json(),
        create_time=values.time(of.pinned_at),
        update_time=values.time(of.pinned_at),
        etag=of.digest,
    )
