"""Why custody refuses: one class per reason, each with the field it is about and data for a program.

`reason` is the interface (ErrorInfo.reason). `custody.rpc.errors` is the only place that maps it to a status.
"""

# ruff: noqa: N818 - a refusal is named for its reason

from collections.abc import Mapping
from typing import ClassVar

from signers.statements.identifiers import AccountId
from signers.statements.refusals import Refusal, Tag


class CustodyError(Exception):
    """A typed refusal of custody.

    Attributes:
        reason: the stable name, UPPER_SNAKE.
        field: the field of the command it is about; empty where it is about none.
        tag: the rule of `signers.statements` that refused, where a statement was refused.
        data: facts for a program: names, decimal integers, digests. Never secret.
    """

    reason: ClassVar[str]

    def __init__(
        self, message: str, *, field: str = "", tag: Tag | None = None, data: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.tag = tag
        self.data = dict(data or {})


class FieldInvalid(CustodyError):
    """A field breaks a rule that needs no record to be seen."""

    reason = "FIELD_INVALID"


class PrincipalNotAllowed(CustodyError):
    """The caller may see this, and may not do this."""

    reason = "PRINCIPAL_NOT_ALLOWED"


class NotFound(CustodyError):
    """There is no such resource, or it is outside the caller's accounts: the two look alike on purpose.

    `data`: `resource`, of which kind.
    """

    reason = "RESOURCE_NOT_FOUND"

    def __init__(self, resource: str, name: str, *, field: str) -> None:
        super().__init__(f"no {resource} {name}", field=field, data={"resource": resource})


class AccountNotFound(NotFound):
    """No such account in the caller's scope."""

    def __init__(self, account: AccountId, *, field: str = "account") -> None:
        super().__init__("account", account, field=field)


class AlreadyExists(CustodyError):
    """The id is taken by what another request made."""

    reason = "RESOURCE_ALREADY_EXISTS"


class RequestIdReused(CustodyError):
    """The caller used this request id before, with another body."""

    reason = "REQUEST_ID_REUSED"


class EtagStale(CustodyError):
    """The caller decided on something that has changed since."""

    reason = "ETAG_STALE"


class StatementMalformed(CustodyError):
    """Not an envelope around a canonical statement of the expected type."""

    reason = "STATEMENT_MALFORMED"


class StatementMismatch(CustodyError):
    """A well-formed statement that says something else than what it is for."""

    reason = "STATEMENT_MISMATCH"


class StatementSignature(CustodyError):
    """A signature is missing, wrong, or of a key that may not sign this."""

    reason = "STATEMENT_SIGNATURE"


class StatementStale(CustodyError):
    """Outside its validity, or it does not continue what is on record.

    For an encumbrance `data` carries the head, `sequence` and `digest`, so that an SDK can sign again.
    """

    reason = "STATEMENT_STALE"


class StateConflict(CustodyError):
    """The resource's state does not allow this."""

    reason = "STATE_CONFLICT"


class AccountNotActive(CustodyError):
    """The account has not proven its addresses yet."""

    reason = "ACCOUNT_NOT_ACTIVE"


class AccountHalted(CustodyError):
    """Nothing flows out of a halted account and nothing more is lent against it."""

    reason = "ACCOUNT_HALTED"


class AssetNotEligible(CustodyError):
    """The policy has no terms for this asset."""

    reason = "ASSET_NOT_ELIGIBLE"


class CollateralInsufficient(CustodyError):
    """The free quantity does not cover it. `data`: `asset`, `free_units`, `asked_units`."""

    reason = "COLLATERAL_INSUFFICIENT"


class WithdrawalOpen(CustodyError):
    """Another withdrawal of this account and asset is open. `data`: `withdrawal`."""

    reason = "WITHDRAWAL_OPEN"


class DestinationNotUsable(CustodyError):
    """Unknown, not approved, or still cooling off. `data`: `usable_at` where that is known."""

    reason = "DESTINATION_NOT_USABLE"


class ApproverNotEligible(CustodyError):
    """The maker or its entity, or an entity that has approved already."""

    reason = "APPROVER_NOT_ELIGIBLE"


class PolicyForbids(CustodyError):
    """An amount limit, a fee cap, a tier, a party's key."""

    reason = "POLICY_FORBIDS"


class PricesStale(CustodyError):
    """Too few fresh prices that agree, or a disputed chain. `data`: `status`, as in a report."""

    reason = "PRICES_STALE"


class TipMoved(CustodyError):
    """The chain delta was computed from another tip than the recorded one: start over."""

    reason = "TIP_MOVED"


class LedgerInvariant(CustodyError):
    """A record contradicts another: a fault in this program or its database. Nothing is done."""

    reason = "INTERNAL"


class StoreUnavailable(CustodyError):
    """The store has stopped; nothing after its last commit was done."""

    reason = "DEPENDENCY_UNAVAILABLE"


class SubscriberTooSlow(CustodyError):
    """A subscriber fell behind by more than its bound and must start over from a snapshot."""

    reason = "OVERLOADED"


_REFUSALS: Mapping[Tag, type[CustodyError]] = {
    Tag.STATEMENT_MALFORMED: StatementMalformed,
    Tag.STATEMENT_NON_CANONICAL: StatementMalformed,
    Tag.STATEMENT_DUPLICATE_KEY: StatementMalformed,
    Tag.STATEMENT_TYPE: StatementMalformed,
    Tag.STATEMENT_NETWORK: StatementMismatch,
    Tag.RELEASE_WRONG_INTENT: StatementMismatch,
    Tag.APPROVAL_WRONG_INTENT: StatementSignature,
    Tag.APPROVAL_KEY_UNKNOWN: StatementSignature,
    Tag.APPROVAL_KEY_REVOKED: StatementSignature,
    Tag.MAKER_MISSING: StatementSignature,
    Tag.RELEASE_SIGNATURE: StatementSignature,
    Tag.ALLOWLIST_SIGNATURE: StatementSignature,
    Tag.RELEASE_EXPIRED: StatementStale,
    Tag.POLICY_MAKER_CHECKER: ApproverNotEligible,
    Tag.POLICY_DUPLICATE_ENTITY: ApproverNotEligible,
    Tag.POLICY_TIER: PolicyForbids,
    Tag.POLICY_QUORUM: StatementSignature,
    Tag.POLICY_SHARED_KEY: PolicyForbids,
}


def from_refusal(refusal: Refusal, *, field: str) -> CustodyError:
    """The typed error of a refused statement, with its tag kept.

    Args:
        refusal: what the statement's rules said.
        field: the field of the command that carried the statement.
    """
    error = _REFUSALS.get(refusal.tag, StatementMismatch)
    return error(refusal.detail, field=field, tag=refusal.tag)
