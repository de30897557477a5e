"""Keys wrapped by a real OpenBao: what a thief of the store, or a tamperer with it, gets."""

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import coincurve
import pytest

from signers.keys import vault_transit
from signers.keys.ecdsa import EcdsaSecret, SigningLibraryUnfit
from signers.keys.port import KeyCorrupt, KeyRef, SigningFailed
from signers.keys.store import KeyStore, KeyStoreUnavailable, WrappedKey
from signers.keys.transit import TransitKey, TransitKeyUnfit
from signers.keys.vault_statement import VaultStatementSigner
from signers.keys.vault_transit import VaultTransitKeys, associated_data
from signers.vault import VaultAnswerUnfit, VaultSession
from tests.contract.keys.openbao import STATEMENT_KEY, WRAPPING_KEY, OpenBao

REF = KeyRef(account="pledge-1", chain="BTC", key_id="key-1")
OTHER = KeyRef(account="pledge-2", chain="BTC", key_id="key-1")
DIGEST = hashlib.sha256(b"a sighash").digest()


@pytest.fixture
async def keys(vault: VaultSession, tmp_path: Path) -> AsyncIterator[VaultTransitKeys]:
    opened = await VaultTransitKeys.open(
        vault=vault, wrapping_key=WRAPPING_KEY, store_file=tmp_path / "keys.db"
    )
    yield opened
    await opened.close()


@pytest.fixture
async def wide_vault(openbao: OpenBao, tmp_path: Path) -> AsyncIterator[VaultSession]:
    """A session that may read every transit key, to show which keys are refused."""
    openbao.root.sys.create_or_update_policy("wide", 'path "transit/*" { capabilities = ["read", "update"] }')
    openbao.add_role("wide", ttl="20m", policies="wide")
    session = await VaultSession.open(openbao.deliver(tmp_path, role="wide"))
    yield session
    await session.close()


def stored(keys: VaultTransitKeys, ref: KeyRef) -> WrappedKey:
    row = keys._store.find(ref)
    assert row is not None
    return row


def content_of(folder: Path) -> bytes:
    """Everything a thief of the store finds, the write-ahead log included."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("keys.db*")))


def reopened_with(keys: VaultTransitKeys, tmp_path: Path, *rows: WrappedKey) -> VaultTransitKeys:
    """The same signer over a store that somebody prepared."""
    store = KeyStore(tmp_path / "tampered.db")
    for row in rows:
        store.insert_or_find(row)
    return VaultTransitKeys(vault=keys._vault, wrapping_key=WRAPPING_KEY, store=store)


class TestTamperedStore:
    async def test_the_untampered_row_signs(self, keys: VaultTransitKeys, tmp_path: Path) -> None:
        await keys.create_key(REF)
        copied = reopened_with(keys, tmp_path, stored(keys, REF))
        assert await copied.sign(REF, DIGEST) == await keys.sign(REF, DIGEST)

    @pytest.mark.parametrize(
        "other",
        [
            replace(REF, account="pledge-2"),
            replace(REF, chain="ETH"),
            replace(REF, key_id="key-2"),
        ],
        ids=["account", "chain", "key id"],
    )
    async def test_a_row_moved_to_another_reference_is_refused(
        self, keys: VaultTransitKeys, tmp_path: Path, other: KeyRef
    ) -> None:
        await keys.create_key(REF)
        moved = reopened_with(keys, tmp_path, replace(stored(keys, REF), ref=other))
        with pytest.raises(KeyCorrupt, match="refused") as refused:
            await moved.sign(other, DIGEST)
        assert refused.value.ref == other

    async def test_a_swapped_ciphertext_is_refused(self, keys: VaultTransitKeys, tmp_path: Path) -> None:
        await keys.create_key(REF)
        await keys.create_key(OTHER)
        swapped = replace(stored(keys, REF), ciphertext=stored(keys, OTHER).ciphertext)
        with pytest.raises(KeyCorrupt, match="refused"):
            await reopened_with(keys, tmp_path, swapped).sign(REF, DIGEST)

    async def test_a_changed_ciphertext_is_refused(self, keys: VaultTransitKeys, tmp_path: Path) -> None:
        await keys.create_key(REF)
        row = stored(keys, REF)
        prefix, _, body = row.ciphertext.rpartition(":")
        raw = bytearray(base64.b64decode(body))
        raw[20] ^= 1
        changed = replace(row, ciphertext=f"{prefix}:{base64.b64encode(raw).decode()}")
        with pytest.raises(KeyCorrupt, match="refused"):
            await reopened_with(keys, tmp_path, changed).sign(REF, DIGEST)

    async def test_another_public_key_is_refused(self, keys: VaultTransitKeys, tmp_path: Path) -> None:
        await keys.create_key(REF)
        other = await keys.create_key(OTHER)
        changed = replace(stored(keys, REF), public_key=other)
        with pytest.raises(KeyCorrupt, match="public key is another"):
            await reopened_with(keys, tmp_path, changed).sign(REF, DIGEST)

    @pytest.mark.parametrize("plaintext", [bytes(32), bytes(range(31)), b"\xff" * 32, b"\x01" * 33])
    async def test_a_plaintext_that_is_no_key_is_refused(
        self, openbao: OpenBao, keys: VaultTransitKeys, tmp_path: Path, plaintext: bytes
    ) -> None:
        await keys.create_key(REF)
        answer = openbao.root.secrets.transit.encrypt_data(
            name=WRAPPING_KEY.name,
            plaintext=base64.b64encode(plaintext).decode(),
            associated_data=base64.b64encode(associated_data(REF)).decode(),
        )
        planted = replace(stored(keys, REF), ciphertext=answer["data"]["ciphertext"])
        with pytest.raises(KeyCorrupt, match="not a private key"):
            await reopened_with(keys, tmp_path, planted).sign(REF, DIGEST)


def test_associated_data_is_canonical_and_names_everything() -> None:
    assert associated_data(REF) == (
        b'{"account":"pledge-1","chain":"BTC","key_id":"key-1","purpose":"bailee-account-key-v1"}'
    )


class TestAtRest:
    async def test_the_stolen_store_holds_no_key(
        self, openbao: OpenBao, keys: VaultTransitKeys, tmp_path: Path
    ) -> None:
        public_key = await keys.create_key(REF)
        answer = openbao.root.secrets.transit.decrypt_data(
            name=WRAPPING_KEY.name,
            ciphertext=stored(keys, REF).ciphertext,
            associated_data=base64.b64encode(associated_data(REF)).decode(),
        )
        raw = base64.b64decode(answer["data"]["plaintext"])
        assert coincurve.PrivateKey(raw).public_key.format() == public_key
        files = content_of(tmp_path)
        assert bytes(public_key) in files
        for form in (raw, raw.hex().encode(), base64.b64encode(raw)):
            assert form not in files

    async def test_the_key_is_on_disk_when_its_public_key_is_known(
        self, keys: VaultTransitKeys, tmp_path: Path
    ) -> None:
        public_key = await keys.create_key(REF)
        other = sqlite3.connect(tmp_path / "keys.db")
        assert other.execute("SELECT public_key FROM wrapped_key").fetchall() == [(public_key,)]
        other.close()

    async def test_a_key_that_cannot_be_stored_is_not_handed_out(
        self, keys: VaultTransitKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: WrappedKey) -> WrappedKey:
            raise KeyStoreUnavailable("the disk is full")

        monkeypatch.setattr(keys._store, "insert_or_find", full)
        with pytest.raises(KeyStoreUnavailable):
            await keys.create_key(REF)

    async def test_a_key_that_does_not_come_back_is_not_handed_out(
        self, keys: VaultTransitKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(TransitKey, "unwrap", lambda *_, **__: EcdsaSecret.generate())
        with pytest.raises(KeyCorrupt, match="public key is another"):
            await keys.create_key(REF)
        assert keys._store.find(REF) is None

    async def test_two_signers_over_one_store_agree_on_one_key(
        self, vault: VaultSession, keys: VaultTransitKeys, tmp_path: Path
    ) -> None:
        twin = await VaultTransitKeys.open(
            vault=vault, wrapping_key=WRAPPING_KEY, store_file=tmp_path / "keys.db"
        )
        made = await asyncio.gather(*(each.create_key(REF) for each in (keys, twin) * 4))
        assert len(set(made)) == 1
        await twin.close()


class TestWiping:
    @pytest.fixture
    def unwrapped(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[EcdsaSecret, memoryview]]:
        """Every secret that comes out of OpenBao, with a view that outlives it."""
        seen: list[tuple[EcdsaSecret, memoryview]] = []
        unwrap = TransitKey.unwrap

        def noted(*arguments: Any, **named: Any) -> EcdsaSecret:
            secret = unwrap(*arguments, **named)
            seen.append((secret, secret._secret.view()))
            return secret

        monkeypatch.setattr(TransitKey, "unwrap", noted)
        return seen

    async def test_after_every_use_the_memory_is_zero(
        self, keys: VaultTransitKeys, unwrapped: list[tuple[EcdsaSecret, memoryview]]
    ) -> None:
        await keys.create_key(REF)
        await keys.sign(REF, DIGEST)
        assert len(unwrapped) == 2
        assert all(secret._secret.wiped and bytes(view) == bytes(32) for secret, view in unwrapped)

    async def test_a_failed_verification_wipes_and_signs_nothing(
        self,
        keys: VaultTransitKeys,
        unwrapped: list[tuple[EcdsaSecret, memoryview]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await keys.create_key(REF)
        flawed = EcdsaSecret.sign

        def flip(secret: EcdsaSecret, digest: bytes) -> object:
            signature = flawed(secret, digest)
            return replace(signature, recovery_id=signature.recovery_id ^ 1)

        monkeypatch.setattr(EcdsaSecret, "sign", flip)
        with pytest.raises(SigningFailed):
            await keys.sign(REF, DIGEST)
        assert all(bytes(view) == bytes(32) for _, view in unwrapped)

    async def test_a_cancelled_caller_leaves_no_secret(
        self, keys: VaultTransitKeys, unwrapped: list[tuple[EcdsaSecret, memoryview]]
    ) -> None:
        await keys.create_key(REF)
        signing = [asyncio.create_task(keys.sign(REF, DIGEST)) for _ in range(8)]
        await asyncio.wait(signing, return_when=asyncio.FIRST_COMPLETED)
        for task in signing:
            task.cancel()
        await asyncio.gather(*signing, return_exceptions=True)
        await keys._vault.close()
        assert all(bytes(view) == bytes(32) for _, view in unwrapped)


class TestStartUp:
    async def test_an_unpinned_signing_library_stops_the_start(
        self, vault: VaultSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unfit() -> None:
            raise SigningLibraryUnfit("another version")

        monkeypatch.setattr(vault_transit, "check_signing_library", unfit)
        with pytest.raises(SigningLibraryUnfit):
            await VaultTransitKeys.open(vault=vault, wrapping_key=WRAPPING_KEY, store_file=tmp_path / "k.db")

    @pytest.mark.parametrize(
        ("name", "options", "settings", "flaw"),
        [
            ("rsa", {"key_type": "rsa-2048"}, {}, "is rsa-2048"),
            ("exportable", {"key_type": "aes256-gcm96", "exportable": True}, {}, "is exportable"),
            ("backup", {"key_type": "aes256-gcm96", "allow_plaintext_backup": True}, {}, "plaintext backup"),
            ("deletable", {"key_type": "aes256-gcm96"}, {"deletion_allowed": True}, "deletion allowed"),
            ("derived", {"key_type": "aes256-gcm96", "derived": True}, {}, "derived"),
        ],
    )
    async def test_a_wrapping_key_that_is_unfit_stops_the_start(
        self,
        openbao: OpenBao,
        wide_vault: VaultSession,
        tmp_path: Path,
        name: str,
        options: dict[str, Any],
        settings: dict[str, Any],
        flaw: str,
    ) -> None:
        openbao.root.secrets.transit.create_key(name, **options)
        if settings:
            openbao.root.secrets.transit.update_key_configuration(name, **settings)
        key = TransitKey(mount="transit", name=name)
        with pytest.raises(TransitKeyUnfit, match=flaw):
            await VaultTransitKeys.open(vault=wide_vault, wrapping_key=key, store_file=tmp_path / "k.db")


class TestStatements:
    async def test_a_rotation_in_openbao_does_not_change_the_signer(
        self, openbao: OpenBao, vault: VaultSession
    ) -> None:
        before = await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY)
        signature = await before.sign(b"a receipt")
        openbao.root.secrets.transit.rotate_key(STATEMENT_KEY.name)
        after = await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY)
        assert after.public_key == before.public_key
        assert await after.sign(b"a receipt") == signature

    async def test_an_exportable_statement_key_is_refused(
        self, openbao: OpenBao, wide_vault: VaultSession
    ) -> None:
        openbao.root.secrets.transit.create_key("loose", key_type="ed25519", exportable=True)
        with pytest.raises(TransitKeyUnfit, match="exportable"):
            await VaultStatementSigner.open(vault=wide_vault, key=TransitKey(mount="transit", name="loose"))

    async def test_another_key_type_is_refused(self, vault: VaultSession) -> None:
        with pytest.raises(TransitKeyUnfit, match="aes256-gcm96, not ed25519"):
            await VaultStatementSigner.open(vault=vault, key=WRAPPING_KEY)

    async def test_a_missing_version_is_refused(self, vault: VaultSession) -> None:
        with pytest.raises(TransitKeyUnfit, match="no version 99"):
            await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY, version=99)

    async def test_a_signature_that_does_not_verify_is_discarded(
        self, vault: VaultSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signer = await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY)
        monkeypatch.setattr(TransitKey, "sign", lambda *_, **__: bytes(64))
        with pytest.raises(SigningFailed):
            await signer.sign(b"a receipt")

    async def test_a_signature_of_another_version_is_discarded(
        self, openbao: OpenBao, vault: VaultSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signer = await VaultStatementSigner.open(vault=vault, key=STATEMENT_KEY)
        monkeypatch.setattr("signers.vault.Answer.text", lambda *_: "vault:v2:" + "A" * 86 + "==")
        with pytest.raises(VaultAnswerUnfit, match="another version"):
            await signer.sign(b"a receipt")
