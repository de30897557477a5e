"""What signs in custody's own name: a key it cannot read, for reports and nothing that moves coins."""

from typing import Protocol

from signers.statements.envelope import Envelope
from signers.statements.identifiers import Ed25519Key
from signers.statements.report import ReportBatch


class Attestor(Protocol):
    """Custody's attestation key (Ed25519, non-exportable)."""

    @property
    def public_key(self) -> Ed25519Key:
        """The key that the policy names as custody's."""
        ...

    async def sign_batch(self, batch: ReportBatch) -> Envelope:
        """The batch's envelope with the attestation key's signature, verified before it is returned.

        Raises:
            AttestationUnavailable: the key does not answer, or answers with something else.
        """
        ...


class AttestationUnavailable(Exception):  # noqa: N818 - named as the ports' other conditions
    """Nothing was signed. The last batch stays the current one and ages visibly."""
