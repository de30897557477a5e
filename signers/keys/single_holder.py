"""`JointKeys`, first implementation: one signer holds the whole key.

It is not threshold signing: whoever owns the holder and its OpenBao can sign alone. The protocol around it
(the holder signs only with the other signers' announce receipts) binds an honest holder only. Therefore its
mode is named in every report, receipt and start-up line, and mainnet refuses it.
"""

from __future__ import annotations

from signers.keys.port import (
    AccountKeys,
    JointKey,
    JointMode,
    KeyRef,
    NotHolder,
    ParticipantsRefused,
    RecoverableSignature,
)


class SingleHolder:
    """Joint keys of which a configured signer holds all; see `signers.keys.port.JointKeys`."""

    def __init__(self, *, own_id: str, holder_id: str, keys: AccountKeys) -> None:
        """Every signer is configured with the same `holder_id`.

        Args:
            own_id: This signer.
            holder_id: The signer that holds every joint key.
            keys: Where the holder keeps them; unused elsewhere.
        """
        self._own_id = own_id
        self._holder_id = holder_id
        self._keys = keys

    @property
    def mode(self) -> JointMode:
        """Always single-holder."""
        return JointMode.SINGLE_HOLDER

    @property
    def holder(self) -> str:
        """The signer that holds every joint key."""
        return self._holder_id

    async def joint_keygen(self, ref: KeyRef, participants: tuple[str, ...]) -> JointKey:
        """See the port."""
        self._require_holder(ref, participants)
        public_key = await self._keys.create_key(ref)
        return JointKey(public_key=public_key, holder=self._holder_id, mode=self.mode)

    async def joint_sign(
        self, ref: KeyRef, digest: bytes, participants: tuple[str, ...]
    ) -> RecoverableSignature:
        """See the port."""
        self._require_holder(ref, participants)
        return await self._keys.sign(ref, digest)

    def _require_holder(self, ref: KeyRef, participants: tuple[str, ...]) -> None:
        if ref.chain != "ETH":
            raise ParticipantsRefused(f"a {ref.chain} key is not held jointly: each signer has its own")
        if len(set(participants)) != len(participants):
            raise ParticipantsRefused("a participant is named twice")
        for needed in (self._own_id, self._holder_id):
            if needed not in participants:
                raise ParticipantsRefused(f"{needed} is not among the participants")
        if self._own_id != self._holder_id:
            raise NotHolder(holder=self._holder_id, asked=self._own_id)
