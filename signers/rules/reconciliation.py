"""Before anything is decided: has this signer's journal been rolled back?

A journal restored from a copy is a valid chain that forgets announcements, attempts and fees. The peers
remember: each saw heads of this journal in announce receipts, and asks for its latest once a minute. After
every start each of them is asked, with a fresh nonce, for the highest head it has seen. Until all have
answered, and none knows of more, nothing is decided and nothing is written, for a record on top of a
rolled-back journal would make a second history of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Final

from signers.journal import Journal, PeerHead, PeerHeadSeen, document
from signers.peers.port import Peers, PeerUnavailable
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Ed25519Key, Nonce, Seconds, SignerId
from signers.statements.network import Network
from signers.statements.receipt import JournalHead
from signers.statements.refusals import Refusal, Tag, refuse_unless

HEADS_SECONDS: Final = Seconds(60)
"""A peer's head is asked for, and written down, no more often: no peer fills this disk."""
_NONCE_BYTES: Final = 32


class Reconciliation:
    """Which peers have confirmed this journal since this process started."""

    def __init__(
        self,
        *,
        own_id: SignerId,
        network: Network,
        journal: Journal,
        peer_keys: Mapping[SignerId, Ed25519Key],
        peers: Peers,
        fresh_nonce: Callable[[], Nonce] = lambda: Nonce(secrets.token_hex(_NONCE_BYTES)),
    ) -> None:
        """Nothing is confirmed yet, and nothing is appended before it is.

        Args:
            own_id: whose journal.
            network: of the statements.
            journal: this signer's; guarded from here on.
            peer_keys: the statement key of every other signer of the policy.
            peers: how to ask them.
            fresh_nonce: 32 random bytes each time.
        """
        self._own_id = own_id
        self._network = network
        self._journal = journal
        self._keys = peer_keys
        self._peers = peers
        self._fresh_nonce = fresh_nonce
        self._confirmed: set[SignerId] = set()
        self._followed: dict[SignerId, Seconds] = {}
        self._behind = ""
        journal.guard(self.require)

    @property
    def silent(self) -> Collection[SignerId]:
        """The peers that have not answered since the start."""
        return sorted(set(self._keys) - self._confirmed)

    @property
    def behind(self) -> str:
        """Why this journal is not the newest; empty where nothing says so. For good, until the next start."""
        return self._behind

    @property
    def whole(self) -> bool:
        """Whether every peer has confirmed this journal, and nothing has shown it to be old since."""
        return not self._behind and not self.silent

    def require(self) -> None:
        """Let nothing pass before the journal is known to be whole.

        Every peer must have answered. One peer would not do: custody may have shown each receipt to another
        signer, and the one that answers may be the one an attacker owns.

        Raises:
            Refusal: `journal-behind`.
        """
        refuse_unless(not self._behind, Tag.JOURNAL_BEHIND, self._behind)
        refuse_unless(
            not self.silent, Tag.JOURNAL_BEHIND, f"not confirmed since the start by {', '.join(self.silent)}"
        )

    async def ask(self, peer: SignerId) -> None:
        """Ask one peer, once, what it has seen of this journal.

        Raises:
            PeerUnavailable: it does not answer, or its answer is not its signed word over our nonce.
        """
        _, seen = await self.told(peer, subject=self._own_id)
        self._judge(peer, seen)

    async def told(self, peer: SignerId, *, subject: SignerId) -> tuple[Envelope, PeerHead]:
        """A peer's word on a journal: on this signer's, what it has seen of it; on its own, how far it is.

        Raises:
            PeerUnavailable: it does not answer, or its answer is not its signed word over our nonce.
        """
        nonce = self._fresh_nonce()
        envelope = await self._peers.journal_head(peer, subject=subject, nonce=nonce)
        try:
            answer = JournalHead.read(envelope, network=self._network)
        except Refusal as refusal:
            raise PeerUnavailable(f"{peer} answered no journal head: {refusal}") from refusal
        asked = (answer.subject, answer.witness, answer.nonce) == (subject, peer, nonce)
        if not asked or not envelope.signed_by(self._keys[peer]):
            raise PeerUnavailable(f"{peer} answered something else than was asked")
        return envelope, PeerHead(sequence=answer.sequence, head=answer.head)

    async def follow(self, peer: SignerId, *, at: Seconds) -> None:
        """Ask a peer once a minute how far its journal is, and write that down.

        Receipts show its announcements; attempts, fees and accounts are in none that it gives its peers.

        Raises:
            PeerUnavailable: as `ask`.
            Refusal: `journal-conflict`.
        """
        if 0 <= at - self._followed.get(peer, Seconds(0)) < HEADS_SECONDS:
            return
        self._followed[peer] = at
        statement, head = await self.told(peer, subject=peer)
        require_one_history(self._journal, peer, head)
        if head.sequence > own_view_of(self._journal, peer).sequence:
            seen = PeerHeadSeen(
                signer=peer, sequence=head.sequence, head=head.head, statement=document(statement)
            )
            self._journal.append(seen, at=at)

    def _judge(self, peer: SignerId, seen: PeerHead) -> None:
        own = self._journal.head_at(seen.sequence)
        if own is None:
            self.fall_behind(
                f"{peer} has seen record {seen.sequence}, this journal ends at {self._journal.sequence}"
            )
        elif own != seen.head:
            self.fall_behind(f"{peer} has seen another record {seen.sequence}")
        else:
            self._confirmed.add(peer)

    def fall_behind(self, why: str) -> None:
        """This journal is not the newest: refuse everything until someone has restored it."""
        self._behind = self._behind or why


def own_view_of(journal: Journal, subject: SignerId) -> PeerHead:
    """The highest head of a peer's journal that this one has seen; 0 and `GENESIS` for none."""
    return journal.views.peer_heads.get(subject, PeerHead(sequence=0, head=GENESIS))


def require_one_history(journal: Journal, peer: SignerId, head: PeerHead) -> None:
    """What a peer shows of its journal does not contradict what was seen of it before.

    Raises:
        Refusal: `journal-conflict`.
    """
    known = own_view_of(journal, peer)
    refuse_unless(
        known.sequence != head.sequence or known == head,
        Tag.JOURNAL_CONFLICT,
        f"the journal of {peer} has two records {head.sequence}",
    )
