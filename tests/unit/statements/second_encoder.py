"""A second way from a statement to its bytes and its digest, written from the specifications alone.

It shares nothing with `signers.statements.canonical`, `schema` or the `rfc8785` library: RFC 8785 by hand
for strings, integers, booleans and null; DSSE's PAE by hand; and each statement's JSON object spelled out
field by field, so that a field that is renamed, dropped or encoded otherwise shows as a difference.
"""

import hashlib
import struct
from typing import Any

from signers.statements.account import Account, AccountKey, Party
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination, Destination
from signers.statements.amounts import Amount, Sats
from signers.statements.encumbrance import Encumbrance
from signers.statements.intent import Anchor, Intent, OutpointAnchor, Release
from signers.statements.policy import Policy
from signers.statements.price import Price
from signers.statements.receipt import JournalHead, Receipt
from signers.statements.report import AssetPosition, Report, ReportBatch
from signers.statements.statement import Statement

_SHORT = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}

PAYLOAD_TYPES: dict[type[Statement], str] = {
    Account: "application/vnd.bailee.account.v1+json",
    AccountKey: "application/vnd.bailee.account-key.v1+json",
    AllowlistEntry: "application/vnd.bailee.allowlist-entry.v1+json",
    Encumbrance: "application/vnd.bailee.encumbrance.v1+json",
    Intent: "application/vnd.bailee.intent.v1+json",
    JournalHead: "application/vnd.bailee.journal-head.v1+json",
    Policy: "application/vnd.bailee.policy.v1+json",
    Price: "application/vnd.bailee.price.v1+json",
    Receipt: "application/vnd.bailee.receipt.v1+json",
    Release: "application/vnd.bailee.release.v1+json",
    Report: "application/vnd.bailee.report.v1+json",
    ReportBatch: "application/vnd.bailee.report-batch.v1+json",
}


def encode(statement: Statement) -> bytes:
    """The payload."""
    return jcs(document(statement)).encode("utf-8")


def digest(statement: Statement) -> str:
    """SHA-256 of DSSE's pre-authentication encoding, in hexadecimal."""
    return hashlib.sha256(dsse_pae(PAYLOAD_TYPES[type(statement)], encode(statement))).hexdigest()


def dsse_pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE protocol: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body; LEN is ASCII decimal of bytes."""
    kind = payload_type.encode("utf-8")
    parts = [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    return b" ".join(parts)


def jcs(value: object) -> str:
    """RFC 8785, section 3.2, of what statements hold."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        assert abs(value) < 2**53
        return format(value, "d")
    if isinstance(value, str):
        return '"' + "".join(_character(ord(character)) for character in str(value)) + '"'
    if isinstance(value, list):
        return "[" + ",".join(jcs(item) for item in value) + "]"
    assert isinstance(value, dict)
    ordered = sorted(value, key=_code_units)
    return "{" + ",".join(jcs(name) + ":" + jcs(value[name]) for name in ordered) + "}"


def _character(code: int) -> str:
    if code in _SHORT:
        return _SHORT[code]
    return f"\\u{code:04x}" if code < 0x20 else chr(code)


def _code_units(name: str) -> tuple[int, ...]:
    """Section 3.2.3: names sort by their UTF-16 code units, as unsigned integers."""
    raw = name.encode("utf-16-le")
    return struct.unpack(f"<{len(raw) // 2}H", raw)


def document(statement: Statement) -> dict[str, Any]:  # noqa: C901 - one case for each type
    """The JSON object of a statement."""
    match statement:
        case Account():
            return _account(statement)
        case AccountKey(network=network):
            return {
                "network": network.value,
                "account": statement.account,
                "signer": statement.signer,
                "asset": statement.asset.value,
                "public_key": statement.public_key,
                "proof": statement.proof,
            }
        case AllowlistEntry(network=network):
            return {
                "network": network.value,
                "account": statement.account,
                "destination_id": statement.destination_id,
                "destination": _destination(statement.destination),
                "proof": statement.proof,
                "created_at": statement.created_at,
                "usable_at": statement.usable_at,
            }
        case Encumbrance(network=network):
            return {
                "network": network.value,
                "account": statement.account,
                "sequence": statement.sequence,
                "previous": statement.previous,
                "kind": statement.kind.value,
                "lien": statement.lien,
                "amount": _amount(statement.amount),
                "expires_at": statement.expires_at,
            }
        case Intent():
            return _intent(statement)
        case JournalHead(network=network):
            return {
                "network": network.value,
                "subject": statement.subject,
                "witness": statement.witness,
                "nonce": statement.nonce,
                "sequence": statement.sequence,
                "head": statement.head,
            }
        case Policy():
            return _policy(statement)
        case Price(network=network):
            return {
                "network": network.value,
                "publisher": statement.publisher,
                "asset": statement.asset.value,
                "currency": statement.currency,
                "price": statement.price,
                "sequence": statement.sequence,
                "at": statement.at,
            }
        case Receipt():
            return _receipt(statement)
        case Release(network=network):
            return {
                "network": network.value,
                "account": statement.account,
                "intent": statement.intent,
                "intent_digest": statement.intent_digest,
                "expires_at": statement.expires_at,
            }
        case Report():
            return _report(statement)
        case ReportBatch(network=network):
            return {
                "network": network.value,
                "sequence": statement.sequence,
                "previous": statement.previous,
                "root": statement.root,
                "size": statement.size,
                "at": statement.at,
            }
    raise AssertionError(f"no second encoding of {type(statement).__name__}")


def _amount(amount: Amount) -> dict[str, Any]:
    return {"asset": "BTC" if type(amount) is Sats else "ETH", "units": format(amount.units, "d")}


def _destination(destination: Destination) -> dict[str, Any]:
    if isinstance(destination, BitcoinDestination):
        return {"kind": "bitcoin", "script_pubkey": destination.script_pubkey}
    return {"kind": "ethereum", "address": destination.address}


def _anchor(anchor: Anchor) -> dict[str, Any]:
    if isinstance(anchor, OutpointAnchor):
        return {"kind": "outpoint", "txid": anchor.txid, "index": anchor.index}
    return {"kind": "nonce", "chain_id": anchor.chain_id, "nonce": anchor.nonce}


def _party(party: Party) -> dict[str, Any]:
    return {"entity": party.entity, "public_key": party.public_key}


def _account(account: Account) -> dict[str, Any]:
    bitcoin, ethereum = account.bitcoin, account.ethereum
    return {
        "network": account.network.value,
        "account": account.account,
        "pledgor": _party(account.pledgor),
        "secured_party": _party(account.secured_party),
        "custodian": _party(account.custodian),
        "policy_digest": account.policy_digest,
        "bitcoin": {
            "cosigners": [
                {"signer": c.signer, "public_key": c.public_key, "proof": c.proof} for c in bitcoin.cosigners
            ],
            "script_pubkey": bitcoin.script_pubkey,
        },
        "ethereum": {
            "custody": "single-holder",
            "holder": ethereum.holder,
            "public_key": ethereum.public_key,
            "proof": ethereum.proof,
            "address": ethereum.address,
        },
        "enforcement": {
            "bitcoin": account.enforcement.bitcoin,
            "ethereum": account.enforcement.ethereum,
        },
        "created_at": account.created_at,
    }


def _intent(intent: Intent) -> dict[str, Any]:
    return {
        "network": intent.network.value,
        "intent": intent.intent,
        "account": intent.account,
        "kind": intent.kind.value,
        "maker": intent.maker,
        "destination_id": intent.destination_id,
        "destination": _destination(intent.destination),
        "amount": _amount(intent.amount),
        "fee_cap": _amount(intent.fee_cap),
        "anchor": _anchor(intent.anchor),
        "policy_digest": intent.policy_digest,
        "created_at": intent.created_at,
        "expires_at": intent.expires_at,
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "network": policy.network.value,
        "version": policy.version,
        "previous": policy.previous,
        "admin_quorum": policy.admin_quorum,
        "keys": [
            {
                "entity": key.entity,
                "public_key": key.public_key,
                "role": key.role.value,
                "revoked_at": key.revoked_at,
            }
            for key in policy.keys
        ],
        "signers": [
            {
                "signer": signer.signer,
                "operator": signer.operator,
                "cloud": signer.cloud,
                "vault_holders": list(signer.vault_holders),
                "public_key": signer.public_key,
            }
            for signer in policy.signers
        ],
        "custody_attestation_key": policy.custody_attestation_key,
        "tiers": [
            {
                "up_to": _amount(tier.up_to),
                "approvers": tier.approvers,
                "timelock_seconds": tier.timelock_seconds,
                "timelock_blocks": tier.timelock_blocks,
            }
            for tier in policy.tiers
        ],
        "limits": [
            {
                "window_seconds": limit.window_seconds,
                "total": _amount(limit.total),
                "fee_cap": _amount(limit.fee_cap),
            }
            for limit in policy.limits
        ],
        "allowlist_approvers": policy.allowlist_approvers,
        "allowlist_cooling_seconds": policy.allowlist_cooling_seconds,
        "intent_lifetime_max_seconds": policy.intent_lifetime_max_seconds,
        "prices": {
            "currency": policy.prices.currency,
            "publishers_min": policy.prices.publishers_min,
            "age_max_seconds": policy.prices.age_max_seconds,
            "spread_max_bps": policy.prices.spread_max_bps,
        },
        "assets": [
            {
                "asset": terms.asset.value,
                "haircut_bps": terms.haircut_bps,
                "confirmations": terms.confirmations,
                "finality_depth": terms.finality_depth,
            }
            for terms in policy.assets
        ],
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "network": receipt.network.value,
        "signer": receipt.signer,
        "act": receipt.act.value,
        "account": receipt.account,
        "intent_digest": receipt.intent_digest,
        "tags": [tag.value for tag in receipt.tags],
        "inputs": list(receipt.inputs),
        "transaction": receipt.transaction,
        "ethereum_custody": receipt.ethereum_custody,
        "journal_sequence": receipt.journal_sequence,
        "journal_head": receipt.journal_head,
        "at": receipt.at,
    }


def _report(report: Report) -> dict[str, Any]:
    return {
        "network": report.network.value,
        "account": report.account,
        "account_sequence": report.account_sequence,
        "at": report.at,
        "currency": report.currency,
        "policy_digest": report.policy_digest,
        "encumbrance_head": report.encumbrance_head,
        "encumbrance_sequence": report.encumbrance_sequence,
        "ethereum_custody": report.ethereum_custody,
        "halted": report.halted,
        "positions": [_position(position) for position in report.positions],
    }


def _position(position: AssetPosition) -> dict[str, Any]:
    return {
        "asset": position.asset.value,
        "confirmed": _amount(position.confirmed),
        "pending": _amount(position.pending),
        "reserved": _amount(position.reserved),
        "posted": _amount(position.posted),
        "withdrawing": _amount(position.withdrawing),
        "leaving": _amount(position.leaving),
        "free": _amount(position.free),
        "shortfall": _amount(position.shortfall),
        "status": position.status.value,
        "price": position.price,
        "price_at": position.price_at,
        "price_sources": position.price_sources,
        "price_set": position.price_set,
        "haircut_bps": position.haircut_bps,
        "market_value": position.market_value,
        "lending_value": position.lending_value,
        "capital_value": position.capital_value,
        "seen_at": {"height": position.seen_at.height, "block_hash": position.seen_at.block_hash},
    }
