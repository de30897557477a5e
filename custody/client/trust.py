"""What a client trusts to begin with, and how everything else is verified from it.

The root is the digest of version 1 of the policy, obtained from the policy's admins and not from custody.
"""

from dataclasses import dataclass
from typing import Final, Self

from bailee.custody.v1 import (
    account_pb2,
    collateral_report_pb2,
    destination_pb2,
    lien_pb2,
    withdrawal_pb2,
)
from coincurve import PublicKey
from eth_hash.auto import keccak

from custody.client.copies import check_destination, check_lien, check_withdrawal
from custody.client.errors import VerificationError
from custody.client.valuation import check_report
from signers.statements import merkle
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, SECONDS_MAX, Digest, Seconds
from signers.statements.intent import Intent, NonceAnchor
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.quorum import approvals, missing_parties, missing_signers
from signers.statements.receipt import Receipt
from signers.statements.refusals import Refusal
from signers.statements.report import Report, ReportBatch

CLOCK_TOLERANCE_SECONDS: Final = 120
"""How far the service's clock may run ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """A verified policy of one network."""

    network: Network
    policy: Policy
    policy_digest: Digest

    @classmethod
    def load(cls, envelope: bytes, *, network: Network, policy_digest: Digest) -> Self:
        """Verify a policy envelope against the digest that its admins published.

        Raises:
            VerificationError: another policy, another network, or too few admins signed.
        """
        try:
            signed = Envelope.from_json(envelope)
            policy = Policy.read(signed, network=network)
            if signed.digest != policy_digest:
                raise VerificationError(f"policy {signed.digest}, where {policy_digest} is pinned")
            approvals(
                signed,
                policy=policy,
                role=Role.ADMIN,
                required=policy.admin_quorum,
                at=SECONDS_MAX,  # a revoked admin counts for nothing, whenever it is to be revoked
            ).require()
        except Refusal as error:
            raise VerificationError(f"policy: {error}") from error
        return cls(network=network, policy=policy, policy_digest=policy_digest)

    def verify_account(self, resource: account_pb2.Account, *, account: str) -> Account:
        """The account statement behind an account, with every signature it needs, and its addresses checked.

        Args:
            resource: as the service shows it.
            account: the id that was asked for: a complete statement of another account is no answer.

        Raises:
            VerificationError: do not send coins there.
        """
        try:
            envelope = Envelope.from_json(resource.envelope)
            statement = Account.read(envelope, network=self.network)
        except Refusal as error:
            raise VerificationError(f"account statement: {error}") from error
        self.check_terms(statement, account=account)
        absent = [*missing_parties(envelope, statement), *missing_signers(envelope, self.policy)]
        if absent:
            raise VerificationError(f"account statement lacks signatures of {', '.join(absent)}")
        shown = (resource.bitcoin_address.bitcoin_script_pubkey, resource.ethereum_address.ethereum_address)
        if shown != (statement.bitcoin.script_pubkey.raw, statement.ethereum.address.raw):
            raise VerificationError("the addresses shown are not those of the account statement")
        return statement

    def check_terms(self, statement: Account, *, account: str) -> None:
        """What must hold of an account statement before anyone signs it.

        Raises:
            VerificationError: another account, another policy, other signers, or an ETH address that is not
                its key's.
        """
        if statement.account != account:
            raise VerificationError(f"the statement is of {statement.account}, not of {account}")
        if statement.policy_digest != self.policy_digest:
            raise VerificationError("the account stands under another policy")
        named = {terms.signer for terms in self.policy.signers}
        if {cosigner.signer for cosigner in statement.bitcoin.cosigners} != named:
            raise VerificationError("the account's keys are not one of each signer of the policy")
        if statement.ethereum.holder not in named:
            raise VerificationError("the holder of the ETH key is no signer of the policy")
        uncompressed = PublicKey(statement.ethereum.public_key.raw).format(compressed=False)
        if keccak(uncompressed[1:])[12:] != statement.ethereum.address.raw:
            raise VerificationError("the ETH address is not that of its key")

    def verify_report(
        self, resource: collateral_report_pb2.CollateralReport, *, account: str
    ) -> "VerifiedReport":
        """The report that custody's attestation key vouches for, its arithmetic repeated.

        Args:
            resource: as the service shows it.
            account: the id that was asked for: a report of another account is no answer.

        Raises:
            VerificationError: it is not in the signed batch, nobody who may has signed that, or a number in
                it does not follow from the others.
        """
        try:
            envelope = Envelope.from_json(resource.batch)
            batch = ReportBatch.read(envelope, network=self.network)
            report = Report.parse(resource.report)
            path = [Digest(node.hex()) for node in resource.merkle_path]
        except (Refusal, ValueError) as error:
            raise VerificationError(f"report: {error}") from error
        if not envelope.signed_by(self.policy.custody_attestation_key):
            raise VerificationError("the batch is not signed by the attestation key of the policy")
        if (batch.sequence == 1) is not (batch.previous == GENESIS) or not batch.sequence:
            raise VerificationError(f"batch {batch.sequence} follows {batch.previous}")
        included = merkle.includes(
            root=batch.root, size=batch.size, index=resource.leaf_index, leaf=resource.report, path=path
        )
        if not included or resource.tree_size != batch.size:
            raise VerificationError("the report is not in the signed batch")
        if report.account != account or report.network is not self.network:
            raise VerificationError(f"a report of {report.account} on {report.network}, not of {account}")
        if report.policy_digest != self.policy_digest:
            raise VerificationError("the report was made under another policy")
        if report.at > batch.at:
            raise VerificationError("the report is younger than the batch it stands in")
        check_report(report, self.policy)
        return VerifiedReport(report=report, batch=batch, batch_digest=envelope.digest)

    def verify_withdrawal(self, resource: withdrawal_pb2.Withdrawal, *, account: str) -> Intent | None:
        """The intent of a withdrawal, and that the copies beside it say the same.

        Args:
            resource: as the service shows it.
            account: the id that was asked for.

        Returns:
            `None` while there is no intent: until then everything in it is custody's word.

        Raises:
            VerificationError: another account's, under another policy, or beside copies of something else.
        """
        if not resource.intent:
            return None
        intent = self.read_intent(resource.intent, account=account)
        check_withdrawal(resource, intent)
        return intent

    def read_intent(self, payload: bytes, *, account: str) -> Intent:
        """The intent as it is signed, of this account, on these chains and under the policy that is trusted.

        Raises:
            VerificationError: do not sign it.
        """
        try:
            intent = Intent.read(Envelope(Intent.TYPE, payload), network=self.network)
        except Refusal as error:
            raise VerificationError(f"intent: {error}") from error
        if intent.account != account:
            raise VerificationError(f"an intent of {intent.account}, not of {account}")
        if intent.policy_digest != self.policy_digest:
            raise VerificationError("the intent stands under another policy")
        if isinstance(intent.anchor, NonceAnchor) and intent.anchor.chain_id != self.network.chain_id:
            raise VerificationError(f"the intent is for chain {intent.anchor.chain_id}")
        return intent

    def require_signable(self, intent: Intent, *, now: Seconds) -> None:
        """What must hold of an intent at the moment it is signed.

        Raises:
            VerificationError: it has run out, lives longer than the policy allows, or is above its limits.
        """
        if intent.expires_at <= now:
            raise VerificationError(f"the intent expired at {intent.expires_at}")
        lifetime = intent.expires_at - intent.created_at
        ahead = intent.created_at - now
        if lifetime > self.policy.intent_lifetime_max_seconds or ahead > CLOCK_TOLERANCE_SECONDS:
            raise VerificationError("the intent lives longer than the policy allows")
        try:
            self.policy.tier_of(intent.amount)
            limit = self.policy.limit_of(intent.asset)
        except (Refusal, LookupError) as error:
            raise VerificationError(f"intent: {error}") from error
        if intent.fee_cap.units > limit.fee_cap.units:
            raise VerificationError(f"a fee cap of {intent.fee_cap} above the policy's {limit.fee_cap}")

    def verify_destination(
        self, resource: destination_pb2.Destination, statement: Account, *, destination_id: str
    ) -> tuple[AllowlistEntry, Envelope]:
        """A destination's allowlist entry, signed by the pledgor, and that the copies beside it say the same.

        Args:
            resource: as the service shows it.
            statement: of the account, verified.
            destination_id: the id that was asked for.

        Raises:
            VerificationError: another account or id, the pledgor has not signed it, or a copy says something
                else.
        """
        try:
            signed = Envelope.from_json(resource.envelope)
            entry = AllowlistEntry.read(signed, network=self.network)
        except Refusal as error:
            raise VerificationError(f"allowlist entry: {error}") from error
        if (entry.account, entry.destination_id) != (statement.account, destination_id):
            raise VerificationError(f"an entry {entry.destination_id} of {entry.account}")
        if not signed.signed_by(statement.pledgor.public_key):
            raise VerificationError("the pledgor has not signed this destination")
        check_destination(resource, entry)
        return entry, signed

    def verify_lien(self, resource: lien_pb2.Lien, statement: Account) -> Encumbrance:
        """A lien's latest encumbrance, signed by the secured party, and that copies beside it say the same.

        Args:
            resource: as the service shows it.
            statement: of the account, verified.

        Raises:
            VerificationError: of another account or lien, not signed by the secured party, or a copy says
                something else.
        """
        try:
            signed = Envelope.from_json(resource.envelope)
            encumbrance = Encumbrance.read(signed, network=self.network)
        except Refusal as error:
            raise VerificationError(f"encumbrance: {error}") from error
        if encumbrance.account != statement.account:
            raise VerificationError(f"an encumbrance of {encumbrance.account}, not of {statement.account}")
        if not signed.signed_by(statement.secured_party.public_key):
            raise VerificationError("the secured party has not signed this encumbrance")
        check_lien(resource, encumbrance)
        return encumbrance

    def verify_receipt(self, envelope: bytes, intent: Intent) -> Receipt:
        """A signer's word on one intent.

        Raises:
            VerificationError: no signer of the policy signed it, or it is about something else.
        """
        try:
            signed = Envelope.from_json(envelope)
            receipt = Receipt.read(signed, network=self.network)
            terms = self.policy.signer(receipt.signer)
        except (Refusal, LookupError) as error:
            raise VerificationError(f"receipt: {error}") from error
        if not signed.signed_by(terms.public_key):
            raise VerificationError(f"a receipt that {receipt.signer} has not signed")
        if (receipt.account, receipt.intent_digest) != (intent.account, intent.digest):
            raise VerificationError(f"a receipt of intent {receipt.intent_digest} of {receipt.account}")
        return receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReport:
    """A report, and the signed batch it stands in."""

    report: Report
    batch: ReportBatch
    batch_digest: Digest
