import base64
import hashlib
import importlib.metadata
from dataclasses import replace

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.keys.ecdsa import (
    EcdsaSecret,
    SigningLibraryUnfit,
    check_signing_library,
    require_valid_signature,
)
from signers.keys.port import RecoverableSignature, SigningFailed
from signers.keys.secret import SecretBytes, SecretMalformed, SecretWiped
from signers.statements.secp256k1 import ORDER

private_keys = st.integers(min_value=1, max_value=ORDER - 1)
digests = st.binary(min_size=32, max_size=32)
DIGEST = hashlib.sha256(b"a sighash").digest()


def secret_of(number: int) -> EcdsaSecret:
    return EcdsaSecret.from_base64(base64.b64encode(number.to_bytes(32, "big")).decode())


@given(number=private_keys, digest=digests)
def test_keys_and_signatures_are_coincurves_byte_for_byte(number: int, digest: bytes) -> None:
    reference = coincurve.PrivateKey(number.to_bytes(32, "big"))
    with secret_of(number) as secret:
        signature = secret.sign(digest)
        assert secret.public_key() == reference.public_key.format(compressed=True)
    assert signature.der() == reference.sign(digest, hasher=None)
    recoverable = signature.compact() + bytes([signature.recovery_id])
    assert recoverable == reference.sign_recoverable(digest, hasher=None)
    assert len(signature.der()) <= 71


# RFC 6979 with secp256k1 and SHA-256, as published with Trezor's and Haskoin's test suites.
@pytest.mark.parametrize(
    ("number", "message", "expected"),
    [
        (
            1,
            b"All those moments will be lost in time, like tears in rain. Time to die...",
            (
                "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
                "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"
            ),
        ),
        (
            ORDER - 1,
            b"Satoshi Nakamoto",
            (
                "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
                "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"
            ),
        ),
    ],
)
def test_published_vectors(number: int, message: bytes, expected: str) -> None:
    with secret_of(number) as secret:
        assert secret.sign(hashlib.sha256(message).digest()).compact().hex() == expected


@pytest.mark.parametrize("number", [0, ORDER, 2**256 - 1])
def test_a_number_out_of_range_is_no_key_and_is_wiped(number: int) -> None:
    content = SecretBytes.from_base64(base64.b64encode(number.to_bytes(32, "big")).decode(), length=32)
    with pytest.raises(SecretMalformed):
        EcdsaSecret(content)
    assert content.wiped


def test_another_length_is_no_key_and_is_wiped() -> None:
    content = SecretBytes.random(31)
    with pytest.raises(SecretMalformed):
        EcdsaSecret(content)
    assert content.wiped


def test_generated_keys_differ() -> None:
    with EcdsaSecret.generate() as one, EcdsaSecret.generate() as other:
        assert one.public_key() != other.public_key()


def test_leaving_the_context_zeroes_the_key() -> None:
    with EcdsaSecret.generate() as secret:
        secret.sign(DIGEST)
        view = secret._secret.view()
    assert bytes(view) == bytes(32)
    with pytest.raises(SecretWiped):
        secret.sign(DIGEST)
    with pytest.raises(SecretWiped):
        secret.public_key()


def test_signing_leaves_the_page_unpinned_so_that_wiping_returns_it() -> None:
    with EcdsaSecret.generate() as secret:
        secret.sign(DIGEST)
        pages = secret._secret._pages
    assert pages is not None
    assert pages.closed


def test_it_shows_nothing_of_itself() -> None:
    with EcdsaSecret.generate() as secret:
        assert repr(secret) == "EcdsaSecret(SecretBytes(32 bytes, live))"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_digest_of_another_length_is_refused(length: int) -> None:
    with EcdsaSecret.generate() as secret, pytest.raises(ValueError, match="digest has 32 bytes"):
        secret.sign(bytes(length))


class TestOwnVerification:
    def test_a_right_signature_passes(self) -> None:
        with secret_of(7) as secret:
            key, signature = secret.public_key(), secret.sign(DIGEST)
        require_valid_signature(public_key=key, digest=DIGEST, signature=signature)

    @pytest.mark.parametrize("wrong", ["r", "s", "recovery_id", "digest", "key"])
    def test_one_wrong_part_is_refused(self, wrong: str) -> None:
        with secret_of(7) as secret, secret_of(8) as other:
            key, signature, digest = secret.public_key(), secret.sign(DIGEST), DIGEST
            other_key = other.public_key()
        match wrong:
            case "r":
                signature = replace(signature, r=signature.r + 1)
            case "s":
                signature = replace(signature, s=signature.s - 1)
            case "recovery_id":
                signature = replace(signature, recovery_id=signature.recovery_id ^ 1)
            case "digest":
                digest = hashlib.sha256(DIGEST).digest()
            case _:
                key = other_key
        with pytest.raises(SigningFailed):
            require_valid_signature(public_key=key, digest=digest, signature=signature)


class TestStartUpCheck:
    def test_the_pinned_library_passes(self) -> None:
        check_signing_library()

    def test_another_version_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.metadata, "version", lambda _: "21.0.1")
        with pytest.raises(SigningLibraryUnfit, match=r"21\.0\.1"):
            check_signing_library()

    def test_another_signature_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(EcdsaSecret, "sign", lambda *_: RecoverableSignature(r=1, s=1, recovery_id=0))
        with pytest.raises(SigningLibraryUnfit, match="known"):
            check_signing_library()
