"""Withdrawals, as messages."""

from typing import Final

from bailee.custody.v1.withdrawal_pb2 import Withdrawal

from custody.domain import withdrawal as domain
from custody.domain.withdrawal import Capacity
from custody.domain.withdrawal_states import WithdrawalState
from custody.rpc.codec import names, values
from signers.statements.identifiers import EntityId
from signers.statements.intent import Anchor, OutpointAnchor
from signers.statements.network import Network
from signers.statements.receipt import Act

STATES: Final = {
    WithdrawalState.REQUESTED: Withdrawal.STATE_REQUESTED,
    WithdrawalState.AWAITING_SIGNATURES: Withdrawal.STATE_AWAITING_SIGNATURES,
    WithdrawalState.ANNOUNCING: Withdrawal.STATE_ANNOUNCING,
    WithdrawalState.TIMELOCKED: Withdrawal.STATE_TIMELOCKED,
    WithdrawalState.SIGNING: Withdrawal.STATE_SIGNING,
    WithdrawalState.SIGNED: Withdrawal.STATE_SIGNED,
    WithdrawalState.BROADCAST: Withdrawal.STATE_BROADCAST,
    WithdrawalState.CONFIRMING: Withdrawal.STATE_CONFIRMING,
    WithdrawalState.SETTLED: Withdrawal.STATE_SETTLED,
    WithdrawalState.CANCELLED: Withdrawal.STATE_CANCELLED,
    WithdrawalState.EXPIRED: Withdrawal.STATE_EXPIRED,
}
ROLES: Final = {
    Capacity.MAKER: Withdrawal.ROLE_MAKER,
    Capacity.SECURED_PARTY: Withdrawal.ROLE_SECURED_PARTY,
    Capacity.APPROVER: Withdrawal.ROLE_APPROVER,
}
ACTS: Final = {
    Act.ANNOUNCED: Withdrawal.Receipt.ACT_ANNOUNCED,
    Act.SIGNED: Withdrawal.Receipt.ACT_SIGNED,
    Act.REFUSED: Withdrawal.Receipt.ACT_REFUSED,
}


def withdrawal(of: domain.Withdrawal, *, network: Network, tip_height: int = 0) -> Withdrawal:
    """A withdrawal, with the depth of its transaction below `tip_height` where it has one."""
    return Withdrawal(
        name=names.withdrawal(of.account, of.withdrawal),
        amount=values.amount(of.amount),
        fee_cap=values.amount(of.fee_cap),
        destination=names.destination(of.account, of.destination_id),
        destination_address=values.chain_address(of.destination, network),
        maker_entity=of.maker,
        state=STATES[of.state],
        intent=of.intent.payload if of.intent else b"",
        intent_digest=of.intent_digest or "",
        intent_envelope=values.envelope(of.intent),
        release_envelope=values.envelope(of.release),
        signatures=[_signature(each) for each in of.signatures],
        missing_signatures=[_missing(each) for each in of.missing],
        receipts=[_receipt(each) for each in (*of.announcements, *of.signed_receipts)],
        refusals=[_receipt(each) for each in of.refusals],
        attempts=_attempts(of, tip_height),
        anchor=_anchor(of.anchor),
        timelock_end_time=values.time(of.timelock_ends_at),
        expire_time=values.time(of.expires_at),
        settle_time=values.time(of.settled_at),
        account_sequence=of.account_sequence,
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=of.etag,
    )


def _signature(of: domain.Collected) -> Withdrawal.Signature:
    return Withdrawal.Signature(
        role=ROLES[of.capacity], entity=of.entity, key_id=of.keyid, sign_time=values.time(of.at)
    )


def _missing(of: domain.Missing) -> Withdrawal.MissingSignature:
    return Withdrawal.MissingSignature(
        role=ROLES[of.capacity],
        entities=of.entities,
        count=of.count,
        description=_sentence(of.capacity, of.entities, of.count),
    )


def _sentence(capacity: Capacity, entities: tuple[EntityId, ...], count: int) -> str:
    who = ", ".join(entities)
    match capacity:
        case Capacity.MAKER:
            return f"{who}, which asked for it, has to sign the intent"
        case Capacity.SECURED_PARTY:
            return f"{who}, the secured party, has to sign a release"
        case Capacity.APPROVER:
            return f"{count} more of these have to approve: {who}"


def _receipt(of: domain.SignerAnswer) -> Withdrawal.Receipt:
    return Withdrawal.Receipt(
        signer=of.signer,
        act=ACTS[of.act],
        tag=of.tags[0].value if of.tags else "",
        receipt_time=values.time(of.at),
        envelope=of.envelope.to_json(),
    )


def _attempts(of: domain.Withdrawal, tip_height: int) -> list[Withdrawal.Attempt]:
    """Those that are signed: before that there is no transaction that could confirm."""
    return [_attempt(of, each, tip_height) for each in of.attempts if each.transaction_id is not None]


def _attempt(of: domain.Withdrawal, attempt: domain.Attempt, tip_height: int) -> Withdrawal.Attempt:
    message = Withdrawal.Attempt(
        number=attempt.number,
        transaction_id=attempt.transaction_id or "",
        fee=values.amount(attempt.fee),
        state=_attempt_state(of, attempt),
        create_time=values.time(attempt.created_at),
    )
    if of.confirmation is not None and of.confirmation.attempt == attempt.number:
        message.fee.CopyFrom(values.amount(of.confirmation.fee))
        message.block_hash = of.confirmation.block.block_hash
        message.block_height = of.confirmation.block.height
        message.confirmations = max(0, tip_height - of.confirmation.block.height + 1)
    return message


def _attempt_state(of: domain.Withdrawal, attempt: domain.Attempt) -> "Withdrawal.Attempt.State":
    if of.confirmation is not None and of.confirmation.attempt != attempt.number:
        return Withdrawal.Attempt.STATE_REPLACED
    if of.confirmation is not None:
        settled = of.state is WithdrawalState.SETTLED
        return Withdrawal.Attempt.STATE_FINAL if settled else Withdrawal.Attempt.STATE_CONFIRMING
    sent = attempt.broadcast_at is not None
    return Withdrawal.Attempt.STATE_BROADCAST if sent else Withdrawal.Attempt.STATE_SIGNED


def _anchor(of: Anchor | None) -> str:
    if of is None:
        return ""
    return f"{of.txid}:{of.index}" if isinstance(of, OutpointAnchor) else str(of.nonce)
