"""What every implementation of the keys port does: one suite for the fake and for a real OpenBao."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import coincurve
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signers.keys.port import (
    AccountKeys,
    Chain,
    JointKeys,
    JointMode,
    KeyRef,
    KeyUnknown,
    NotHolder,
    ParticipantsRefused,
    StatementSigner,
)
from signers.keys.single_holder import SingleHolder
from signers.keys.vault_statement import VaultStatementSigner
from signers.keys.vault_transit import VaultTransitKeys
from signers.statements.secp256k1 import HALF_ORDER
from tests.contract.keys.fakes import InMemoryAccountKeys, InMemoryStatementSigner
from tests.contract.keys.openbao import STATEMENT_KEY, WRAPPING_KEY, vault_session

DIGEST = hashlib.sha256(b"a sighash").digest()
PARTICIPANTS = ("signer-1", "signer-2", "signer-3")


def ref(account: str = "pledge-1", chain: Chain = "BTC", key_id: str = "key-1") -> KeyRef:
    return KeyRef(account=account, chain=chain, key_id=key_id)


@pytest.fixture(params=["memory", "openbao"])
async def keys(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountKeys]:
    if request.param == "memory":
        yield InMemoryAccountKeys()
        return
    async with vault_session(request.getfixturevalue("openbao"), tmp_path) as vault:
        store_file = tmp_path / "keys.db"
        real = await VaultTransitKeys.open(vault=vault, wrapping_key=WRAPPING_KEY, store_file=store_file)
        yield real
        await real.close()


@pytest.fixture(params=["memory", "openbao"])
async def statements(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StatementSigner]:
    if request.param == "memory":
        yield InMemoryStatementSigner()
        return
    async with vault_session(request.getfixturevalue("openbao"), tmp_path) as vault:
        yield await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY)


class TestAccountKeys:
    async def test_a_created_key_is_a_compressed_point(self, keys: AccountKeys) -> None:
        key = await keys.create_key(ref())
        assert len(key) == 33
        assert coincurve.PublicKey(key).format(compressed=True) == key

    async def test_asked_again_it_is_the_same_key(self, keys: AccountKeys) -> None:
        key = await keys.create_key(ref())
        assert await keys.create_key(ref()) == key
        assert await keys.public_key(ref()) == key

    async def test_each_reference_has_its_own_key(self, keys: AccountKeys) -> None:
        refs = [ref(), ref(account="pledge-2"), ref(chain="ETH"), ref(key_id="key-2")]
        assert len({await keys.create_key(each) for each in refs}) == len(refs)

    async def test_racing_creations_of_one_reference_give_one_key(self, keys: AccountKeys) -> None:
        made = await asyncio.gather(*(keys.create_key(ref()) for _ in range(12)))
        assert set(made) == {await keys.public_key(ref())}

    async def test_a_signature_verifies_recovers_and_has_low_s(self, keys: AccountKeys) -> None:
        key = await keys.create_key(ref())
        signature = await keys.sign(ref(), DIGEST)
        assert coincurve.PublicKey(key).verify(signature.der(), DIGEST, hasher=None)
        recoverable = signature.compact() + bytes([signature.recovery_id])
        recovered = coincurve.PublicKey.from_signature_and_message(recoverable, DIGEST, hasher=None)
        assert recovered.format() == key
        assert signature.s <= HALF_ORDER

    async def test_asked_again_it_is_the_identical_signature(self, keys: AccountKeys) -> None:
        await keys.create_key(ref())
        assert await keys.sign(ref(), DIGEST) == await keys.sign(ref(), DIGEST)

    async def test_an_unknown_reference_is_refused(self, keys: AccountKeys) -> None:
        await keys.create_key(ref())
        unknown = ref(key_id="key-2")
        with pytest.raises(KeyUnknown) as refused:
            await keys.sign(unknown, DIGEST)
        assert refused.value.ref == unknown
        with pytest.raises(KeyUnknown):
            await keys.public_key(unknown)

    @pytest.mark.parametrize("length", [0, 31, 33])
    async def test_a_digest_of_another_length_is_refused(self, keys: AccountKeys, length: int) -> None:
        await keys.create_key(ref())
        with pytest.raises(ValueError, match="digest has 32 bytes"):
            await keys.sign(ref(), bytes(length))


class TestStatementSigner:
    async def test_its_signature_verifies_and_is_deterministic(self, statements: StatementSigner) -> None:
        signature = await statements.sign(b"a receipt")
        Ed25519PublicKey.from_public_bytes(statements.public_key).verify(signature, b"a receipt")
        assert await statements.sign(b"a receipt") == signature
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(statements.public_key).verify(signature, b"another")

    async def test_its_key_id_is_derived_from_the_public_key(self, statements: StatementSigner) -> None:
        assert statements.key_id == hashlib.sha256(statements.public_key).hexdigest()[:32]

    @pytest.mark.parametrize("length", [0, (1 << 20) + 1])
    async def test_a_statement_out_of_bounds_is_refused(
        self, statements: StatementSigner, length: int
    ) -> None:
        with pytest.raises(ValueError, match="a statement has"):
            await statements.sign(bytes(length))


class TestSingleHolder:
    ETH = ref(chain="ETH")

    @staticmethod
    def at(own_id: str, keys: AccountKeys) -> JointKeys:
        return SingleHolder(own_id=own_id, holder_id="signer-2", keys=keys)

    async def test_the_holder_makes_and_uses_the_key_and_says_so(self, keys: AccountKeys) -> None:
        joint = self.at("signer-2", keys)
        made = await joint.joint_keygen(self.ETH, PARTICIPANTS)
        assert (made.holder, made.mode) == ("signer-2", JointMode.SINGLE_HOLDER)
        assert joint.mode.value == "single-holder"
        assert await joint.joint_keygen(self.ETH, PARTICIPANTS) == made
        signature = await joint.joint_sign(self.ETH, DIGEST, PARTICIPANTS)
        assert coincurve.PublicKey(made.public_key).verify(signature.der(), DIGEST, hasher=None)

    async def test_another_participant_names_the_holder(self, keys: AccountKeys) -> None:
        joint = self.at("signer-1", keys)
        assert joint.holder == "signer-2"
        with pytest.raises(NotHolder) as refused:
            await joint.joint_keygen(self.ETH, PARTICIPANTS)
        assert (refused.value.holder, refused.value.asked) == ("signer-2", "signer-1")
        with pytest.raises(NotHolder):
            await joint.joint_sign(self.ETH, DIGEST, PARTICIPANTS)

    @pytest.mark.parametrize(
        ("reference", "participants"),
        [
            (ETH, ()),
            (ETH, ("signer-1", "signer-3")),
            (ETH, ("signer-2", "signer-2")),
            (ref(chain="BTC"), PARTICIPANTS),
        ],
        ids=["nobody", "without the holder", "one twice", "a BTC key"],
    )
    async def test_unfit_participants_are_refused(
        self, keys: AccountKeys, reference: KeyRef, participants: tuple[str, ...]
    ) -> None:
        joint = self.at("signer-2", keys)
        with pytest.raises(ParticipantsRefused):
            await joint.joint_keygen(reference, participants)
        with pytest.raises(ParticipantsRefused):
            await joint.joint_sign(reference, DIGEST, participants)
