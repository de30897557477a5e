"""Any statement, decoded and verified on this machine, and the summaries that people approve by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from custody.cli.addresses import bitcoin_text, destination_raw, destination_text, ethereum_text
from custody.cli.quantities import amount_text
from signers.statements import schema
from signers.statements.account import Account, AccountKey
from signers.statements.allowlist import AllowlistEntry
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope, verify
from signers.statements.identifiers import Ed25519Key, Seconds
from signers.statements.intent import Intent, OutpointAnchor, Release
from signers.statements.network import Network
from signers.statements.policy import Policy
from signers.statements.price import Price
from signers.statements.receipt import JournalHead, Receipt
from signers.statements.refusals import Refusal, Tag
from signers.statements.report import Report, ReportBatch
from signers.statements.statement import Statement

KINDS: Final[tuple[type[Statement], ...]] = (
    Policy,
    Account,
    AccountKey,
    AllowlistEntry,
    Encumbrance,
    Price,
    Intent,
    Release,
    Receipt,
    JournalHead,
    Report,
    ReportBatch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key, and whose it is by the policy or the account statement."""

    key: Ed25519Key
    whose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSignature:
    """One signature of an envelope."""

    keyid: str
    whose: str
    """Empty where no known key has this hint."""
    valid: bool


def read_any(envelope: Envelope) -> Statement:
    """The statement of an envelope, whatever its type.

    Raises:
        Refusal: `statement-type` for an unknown type, or as `Statement.parse`.
    """
    for kind in KINDS:
        if envelope.payload_type == kind.TYPE:
            return kind.parse(envelope.payload)
    raise Refusal(Tag.STATEMENT_TYPE, f"{envelope.payload_type[:72]!r} is no type of statement known here")


def known_keys(policy: Policy | None, account: Account | None, statement: Statement) -> list[KnownKey]:
    """Every key that could have signed, with whose it is.

    A policy and an account statement name their own signers; for these the digest is what must be pinned.
    """
    known: list[KnownKey] = []
    for rules in {id(p): p for p in (policy, statement) if isinstance(p, Policy)}.values():
        known += [KnownKey(key=k.public_key, whose=f"{k.role} {k.entity}") for k in rules.keys]
        known += [KnownKey(key=s.public_key, whose=f"signer {s.signer}") for s in rules.signers]
        known.append(KnownKey(key=rules.custody_attestation_key, whose="custody's attestation key"))
    for terms in (account, statement):
        if isinstance(terms, Account):
            parties = zip(("pledgor", "secured party", "custodian"), terms.parties, strict=True)
            known += [KnownKey(key=p.public_key, whose=f"{role} {p.entity}") for role, p in parties]
    return known


def check_signatures(envelope: Envelope, known: Iterable[KnownKey]) -> list[CheckedSignature]:
    """Each signature against every known key that its hint names."""
    candidates = list(known)
    checked = []
    for signature in envelope.signatures:
        hinted = [k for k in candidates if k.key.key_id == signature.keyid]
        valid = [k.whose for k in hinted if verify(k.key, signature.sig, envelope.message)]
        names = dict.fromkeys(valid or [k.whose for k in hinted])
        checked.append(CheckedSignature(keyid=signature.keyid, whose=", ".join(names), valid=bool(valid)))
    return checked


def statement_json(statement: Statement) -> dict[str, Any]:
    """Digest, type, and the statement's own JSON."""
    return {"digest": statement.digest, "type": statement.TYPE, "statement": schema.to_json(statement)}


def when(seconds: Seconds | None) -> str:
    """A time that people read, in UTC."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def intent_summary(intent: Intent, policy: Policy) -> dict[str, object]:
    """What an intent does, as decoded here."""
    anchor, tier = intent.anchor, policy.tier_of(intent.amount)
    spends = (
        f"output {anchor.txid}:{anchor.index}"
        if isinstance(anchor, OutpointAnchor)
        else f"nonce {anchor.nonce} on chain {anchor.chain_id}"
    )
    return {
        "account": intent.account,
        "network": intent.network,
        "pays": amount_text(intent.amount),
        "to": destination_text(intent.destination, intent.network),
        "to (raw)": destination_raw(intent.destination),
        "destination": intent.destination_id,
        "fee at most": amount_text(intent.fee_cap),
        "asked by": intent.maker,
        "spends": spends,
        "expires": when(intent.expires_at),
        "policy asks": f"{tier.approvers} approving entities, then {tier.timelock_seconds} s and "
        f"{tier.timelock_blocks} blocks",
        "intent": intent.intent,
    }


def entry_summary(entry: AllowlistEntry) -> dict[str, object]:
    """What an allowlist entry allows, as decoded here."""
    return {
        "account": entry.account,
        "network": entry.network,
        "destination": entry.destination_id,
        "to": destination_text(entry.destination, entry.network),
        "to (raw)": destination_raw(entry.destination),
        "usable from": when(entry.usable_at),
        "proof": entry.proof,
    }


def policy_summary(policy: Policy) -> dict[str, object]:
    """The terms of a policy that decide who may do what."""
    summary: dict[str, object] = {
        "network": policy.network,
        "version": policy.version,
        "admins": f"{policy.admin_quorum} entities sign a policy",
    }
    for key in policy.keys:
        revoked = "" if key.revoked_at is None else f", revoked {when(key.revoked_at)}"
        summary[f"{key.role} {key.entity} {key.public_key.key_id[:8]}"] = f"{key.public_key}{revoked}"
    for signer in policy.signers:
        reach = f"operator {signer.operator}, cloud {signer.cloud}, Vault {', '.join(signer.vault_holders)}"
        summary[f"signer {signer.signer}"] = f"{signer.public_key} ({reach})"
    for tier in policy.tiers:
        summary[f"up to {amount_text(tier.up_to)}"] = (
            f"{tier.approvers} entities, {tier.timelock_seconds} s and {tier.timelock_blocks} blocks"
        )
    for limit in policy.limits:
        summary[f"{limit.total.asset} per {limit.window_seconds} s"] = (
            f"{amount_text(limit.total)}, fee at most {amount_text(limit.fee_cap)}"
        )
    for terms in policy.assets:
        summary[f"{terms.asset} terms"] = (
            f"haircut {terms.haircut_bps} bps, {terms.confirmations} confirmations,"
            f" final after {terms.finality_depth}"
        )
    summary["allowlist"] = (
        f"{policy.allowlist_approvers} entities, cooling-off {policy.allowlist_cooling_seconds} s"
    )
    summary["prices"] = (
        f"{policy.prices.publishers_min} publishers in {policy.prices.currency},"
        f" {policy.prices.age_max_seconds} s old, {policy.prices.spread_max_bps} bps apart at most"
    )
    summary["attestation key"] = policy.custody_attestation_key
    return summary


def account_summary(account: Account) -> dict[str, object]:
    """An account statement whose addresses may be shown."""
    network: Network = account.network
    return {
        "account": account.account,
        "network": network,
        "bitcoin address": bitcoin_text(account.bitcoin.script_pubkey, network),
        "bitcoin (raw)": account.bitcoin.script_pubkey,
        "ethereum address": ethereum_text(account.ethereum.address),
        "ethereum key": f"{account.ethereum.custody}, held by {account.ethereum.holder}",
        "pledgor": f"{account.pledgor.entity} {account.pledgor.public_key}",
        "secured party": f"{account.secured_party.entity} {account.secured_party.public_key}",
        "custodian": f"{account.custodian.entity} {account.custodian.public_key}",
        "enforcement (BTC)": bitcoin_text(account.enforcement.bitcoin, network),
        "enforcement (ETH)": ethereum_text(account.enforcement.ethereum),
    }


def summary_of(statement: Statement, policy: Policy | None) -> dict[str, object]:
    """Any statement: as people approve it where they do, else field by field.

    An account statement is not summarised: its addresses are shown once everything behind them verified.
    """
    match statement:
        case Policy():
            return policy_summary(statement)
        case AllowlistEntry():
            return entry_summary(statement)
        case Intent() if policy is not None and statement.policy_digest == policy.digest:
            return intent_summary(statement, policy)
    return dict(_leaves("", schema.to_json(statement)))


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    """`bitcoin.cosigners.0.signer` and what stands there."""
    nested = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else None
    if nested is None:
        yield path, value
        return
    for name, inner in nested.items():
        yield from _leaves(f"{path}.{name}" if path else str(name), inner)
