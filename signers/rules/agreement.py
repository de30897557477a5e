"""Who must have agreed to an intent, and whether they did."""

from __future__ import annotations

from signers.journal import AllowlistEntrySeen
from signers.rules.chains import Chain
from signers.rules.signer import Signer
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Seconds
from signers.statements.intent import Intent
from signers.statements.policy import Role
from signers.statements.quorum import approvals, check_release, intent_quorum
from signers.statements.refusals import Refusal, Tag, refuse_unless


def require_account(signer: Signer, intent: Intent) -> Account:
    """The account of an intent, as this signer co-signed it.

    Raises:
        Refusal: `account-unknown`.
    """
    cosigned = signer.journal.views.accounts.get(intent.account)
    if cosigned is None:
        raise Refusal(Tag.ACCOUNT_UNKNOWN, f"{intent.account} was not co-signed here")
    return Account.read(cosigned.statement.envelope, network=signer.network)


def require_policy(signer: Signer, intent: Intent, account: Account) -> None:
    """Intent and account name the policy that this signer follows: all knew under which rules they signed.

    Raises:
        Refusal: `policy-digest` or `account-policy`.
    """
    refuse_unless(
        account.policy_digest == signer.policy_digest,
        Tag.ACCOUNT_POLICY,
        f"{account.account} stands under policy {account.policy_digest}, not {signer.policy_digest}",
    )
    refuse_unless(
        intent.policy_digest == signer.policy_digest,
        Tag.POLICY_DIGEST,
        f"under policy {intent.policy_digest}, not {signer.policy_digest}",
    )


def require_current(signer: Signer, intent: Intent, at: Seconds) -> None:
    """The intent has not expired, and was not made to lie around.

    Raises:
        Refusal: `intent-expired`.
    """
    refuse_unless(at < intent.expires_at, Tag.INTENT_EXPIRED, f"expired at {intent.expires_at}, it is {at}")
    lifetime = intent.expires_at - intent.created_at
    longest = signer.policy.intent_lifetime_max_seconds
    refuse_unless(
        lifetime <= longest and intent.created_at <= at + signer.clockwork.skew_max_seconds,
        Tag.INTENT_EXPIRED,
        f"made at {intent.created_at} for {lifetime} s; the policy allows {longest} s from now",
    )


def require_approved(
    signer: Signer, envelope: Envelope, intent: Intent, account: Account, at: Seconds
) -> None:
    """The maker asked, and the quorum of the amount's tier approved.

    Raises:
        Refusal: `maker-missing`, `policy-tier`, `policy-quorum`, `policy-maker-checker`,
            `policy-duplicate-entity`, `approval-key-unknown`, `approval-key-revoked` or
            `approval-wrong-intent`.
    """
    intent_quorum(envelope, intent, account=account, policy=signer.policy, at=at).require()


def require_released(envelope: Envelope | None, intent: Intent, account: Account, at: Seconds) -> Envelope:
    """The release, with which the secured party consented to exactly this.

    Raises:
        Refusal: `release-missing`, `release-signature`, `release-wrong-intent` or `release-expired`.
    """
    if envelope is None:
        raise Refusal(Tag.RELEASE_MISSING, "the secured party has released nothing")
    check_release(envelope, intent, account=account, at=at)
    return envelope


def require_destination(
    signer: Signer, envelope: Envelope, *, intent: Intent, account: Account, chain: Chain, at: Seconds
) -> None:
    """The destination is on the account's allowlist, long enough, and somebody has the keys of it.

    Raises:
        Refusal: `allowlist-unknown`, `allowlist-signature`, `allowlist-cooling`, `allowlist-proof`, or what
            `approvals` refuses.
    """
    entry = AllowlistEntry.read(envelope, network=signer.network)
    refuse_unless(
        (entry.account, entry.destination_id, entry.destination)
        == (intent.account, intent.destination_id, intent.destination),
        Tag.ALLOWLIST_UNKNOWN,
        f"the entry {entry.destination_id} of {entry.account} is not the intent's destination",
    )
    _require_entry_signed(signer, envelope, account, at)
    chain.require_ownership(entry)
    _require_cooled(signer, entry, at)


def _require_entry_signed(signer: Signer, envelope: Envelope, account: Account, at: Seconds) -> None:
    quorum = approvals(
        envelope,
        policy=signer.policy,
        role=Role.APPROVER,
        required=signer.policy.allowlist_approvers,
        at=at,
        maker=account.pledgor,
    )
    refuse_unless(
        envelope.signed_by(account.pledgor.public_key) and quorum.missing == 0,
        Tag.ALLOWLIST_SIGNATURE,
        f"the pledgor's signature and {quorum.missing} more approvals are needed",
    )


def _require_cooled(signer: Signer, entry: AllowlistEntry, at: Seconds) -> None:
    """The cooling-off counts from when this signer first saw the complete entry, whatever the entry says.

    A stolen set of keys must wait in sight of everyone; a back-dated entry must wait as long.
    """
    first_seen = signer.journal.views.allowlist_first_seen.get(entry.digest)
    if first_seen is None:
        seen = AllowlistEntrySeen(
            entry_digest=entry.digest, account=entry.account, destination_id=entry.destination_id
        )
        signer.journal.append(seen, at=at)
        first_seen = at
    usable_at = max(entry.usable_at, first_seen + signer.policy.allowlist_cooling_seconds)
    refuse_unless(
        at >= usable_at, Tag.ALLOWLIST_COOLING, f"{entry.destination_id} is usable at {usable_at}, it is {at}"
    )
