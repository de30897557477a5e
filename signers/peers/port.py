"""What a signer asks of the others."""

from __future__ import annotations

from typing import Protocol

from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Nonce, SignerId


class PeerUnavailable(Exception):  # noqa: N818 - named for what is the case
    """A peer does not answer, or answers something else than was asked."""


class Peers(Protocol):
    """The other signers. What they answer is a statement; the caller checks its signature."""

    async def announce_receipt(self, peer: SignerId, intent_digest: Digest) -> Envelope | None:
        """The peer's announce receipt of an intent; `None` if it has not announced it.

        Raises:
            PeerUnavailable: it does not answer.
        """

    async def journal_head(self, peer: SignerId, *, subject: SignerId, nonce: Nonce) -> Envelope:
        """The peer's journal-head statement about `subject`, over `nonce`.

        Raises:
            PeerUnavailable: it does not answer.
        """
