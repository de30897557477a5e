"""What a client trusts to begin with, and how everything else is verified from it.

The root is the digest of version 1 of the policy, obtained from the policy's admins and not from custody.
"""

from dataclasses import dataclass
from typing import Self

from bailee.custody.v1 import account_pb2, collateral_report_pb2
from coincurve import PublicKey
from eth_hash.auto import keccak

from custody.client.errors import VerificationError
from signers.statements import merkle
from signers.statements.account import Account
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.quorum import approvals, missing_parties, missing_signers
from signers.statements.refusals import Refusal
from signers.statements.report import Report, ReportBatch


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
                at=_BEFORE_ANY_REVOCATION,
            ).require()
        except Refusal as error:
            raise VerificationError(f"policy: {error}") from error
        return cls(network=network, policy=policy, policy_digest=policy_digest)

    def verify_account(self, resource: account_pb2.Account) -> Account:
        """The account statement behind an account, with every signature it needs, and its addresses checked.

        Raises:
            VerificationError: do not send coins there.
        """
        try:
            envelope = Envelope.from_json(resource.envelope)
            account = Account.read(envelope, network=self.network)
        except Refusal as error:
            raise VerificationError(f"account statement: {error}") from error
        self.check_terms(account)
        absent = [*missing_parties(envelope, account), *missing_signers(envelope, self.policy)]
        if absent:
            raise VerificationError(f"account statement lacks signatures of {', '.join(absent)}")
        shown = (resource.bitcoin_address.bitcoin_script_pubkey, resource.ethereum_address.ethereum_address)
        if shown != (account.bitcoin.script_pubkey.raw, account.ethereum.address.raw):
            raise VerificationError("the addresses shown are not those of the account statement")
        return account

    def check_terms(self, account: Account) -> None:
        """What must hold of an account statement before anyone signs it.

        Raises:
            VerificationError: another policy, other signers, or an ETH address that is not its key's.
        """
        if account.policy_digest != self.policy_digest:
            raise VerificationError("the account stands under another policy")
        named = {terms.signer for terms in self.policy.signers}
        if {cosigner.signer for cosigner in account.bitcoin.cosigners} != named:
            raise VerificationError("the account's keys are not one of each signer of the policy")
        if account.ethereum.holder not in named:
            raise VerificationError("the holder of the ETH key is no signer of the policy")
        uncompressed = PublicKey(account.ethereum.public_key.raw).format(compressed=False)
        if keccak(uncompressed[1:])[12:] != account.ethereum.address.raw:
            raise VerificationError("the ETH address is not that of its key")

    def verify_report(self, resource: collateral_report_pb2.CollateralReport) -> Report:
        """The report that custody's attestation key vouches for.

        Raises:
            VerificationError: it is not in the signed batch, or nobody who may has signed that.
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
        included = merkle.includes(
            root=batch.root, size=batch.size, index=resource.leaf_index, leaf=resource.report, path=path
        )
        if not included or resource.tree_size != batch.size:
            raise VerificationError("the report is not in the signed batch")
        expected_name = f"accounts/{report.account}/collateralReport"
        if resource.name != expected_name or report.network is not self.network:
            raise VerificationError(f"a report of {report.account} on {report.network} under {resource.name}")
        if report.policy_digest != self.policy_digest:
            raise VerificationError("the report was made under another policy")
        return report


_BEFORE_ANY_REVOCATION = Seconds(0)
"""A policy is judged by the admins it had when they signed it; version 1 revokes nobody before it exists."""
