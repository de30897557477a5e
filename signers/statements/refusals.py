"""Why something was refused: one stable tag for each rule."""

from enum import StrEnum
from typing import final


@final
class Tag(StrEnum):
    """The rules that refuse. A tag is an interface: it stands in receipts, errors, tests and documentation.

    `signers/README.md` says for each tag what it stops; a test holds that table, this enum and the
    one-mutation tests in bijection.
    """

    # What a statement must be before anyone looks at what it says.
    STATEMENT_MALFORMED = "statement-malformed"
    STATEMENT_NON_CANONICAL = "statement-non-canonical"
    STATEMENT_DUPLICATE_KEY = "statement-duplicate-key"
    STATEMENT_TYPE = "statement-type"
    STATEMENT_NETWORK = "statement-network"

    # Who must have agreed.
    POLICY_DIGEST = "policy-digest"
    POLICY_SHARED_KEY = "policy-shared-key"
    POLICY_TIER = "policy-tier"
    POLICY_QUORUM = "policy-quorum"
    POLICY_MAKER_CHECKER = "policy-maker-checker"
    POLICY_DUPLICATE_ENTITY = "policy-duplicate-entity"
    APPROVAL_KEY_UNKNOWN = "approval-key-unknown"
    APPROVAL_KEY_REVOKED = "approval-key-revoked"
    APPROVAL_WRONG_INTENT = "approval-wrong-intent"
    MAKER_MISSING = "maker-missing"
    RELEASE_MISSING = "release-missing"
    RELEASE_SIGNATURE = "release-signature"
    RELEASE_WRONG_INTENT = "release-wrong-intent"
    RELEASE_EXPIRED = "release-expired"

    # Which account it is about.
    ACCOUNT_UNKNOWN = "account-unknown"
    ACCOUNT_CONFLICT = "account-conflict"
    ACCOUNT_PARTIES = "account-parties"
    ACCOUNT_KEYS = "account-keys"
    ACCOUNT_POLICY = "account-policy"
    ACCOUNT_MODE = "account-mode"

    # Where the coins may go.
    ALLOWLIST_UNKNOWN = "allowlist-unknown"
    ALLOWLIST_SIGNATURE = "allowlist-signature"
    ALLOWLIST_COOLING = "allowlist-cooling"
    ALLOWLIST_PROOF = "allowlist-proof"

    # When, and how much in a while.
    INTENT_EXPIRED = "intent-expired"
    VELOCITY = "velocity"
    TIMELOCK_RUNNING = "timelock-running"
    AUTHORITY_EXPIRED = "authority-expired"
    ANNOUNCE_MISSING = "announce-missing"
    ANNOUNCE_INCOMPLETE = "announce-incomplete"
    CLOCK_SKEW = "clock-skew"
    STALE_TIP = "stale-tip"

    # One intent, one payout.
    ANCHOR_BUSY = "anchor-busy"
    ANCHOR_MISMATCH = "anchor-mismatch"
    ANCHOR_SPENT = "anchor-spent"
    JOURNAL_CONFLICT = "journal-conflict"
    JOURNAL_BEHIND = "journal-behind"

    # What the transaction may be.
    DESTINATION = "destination"
    AMOUNT = "amount"
    CHANGE_NOT_OURS = "change-not-ours"
    INPUT_NOT_OURS = "input-not-ours"
    PREVOUT_LIE = "prevout-lie"
    FEE_CAP = "fee-cap"
    FEE_BUDGET = "fee-budget"
    CHAIN_ID = "chain-id"
    NONCE = "nonce"
    TRANSACTION_SHAPE = "transaction-shape"
    SIGNATURE_INVALID = "signature-invalid"


DETAIL_CHARACTERS_MAX = 256
"""A detail quotes what others sent, and travels in the trailers of a call, which hold 8 KiB in all."""


class Refusal(Exception):  # noqa: N818 - the field's word: a signer refuses
    """A rule said no.

    Attributes:
        tag: the rule.
        detail: what it saw, for a person; never secret, never parsed.
    """

    def __init__(self, tag: Tag, detail: str) -> None:
        self.tag = tag
        self.detail = detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(f"{tag.value}: {self.detail}")

    def __reduce__(self) -> tuple[type["Refusal"], tuple[Tag, str]]:
        """Survive a process boundary."""
        return type(self), (self.tag, self.detail)


def refuse_unless(condition: bool, tag: Tag, detail: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise `Refusal(tag)` unless the condition holds."""
    if not condition:
        raise Refusal(tag, detail)
