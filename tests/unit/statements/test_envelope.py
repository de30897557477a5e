"""Envelopes: the encoding that is signed, and the strict reading of what travels."""

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from signers.statements.amounts import Asset
from signers.statements.envelope import (
    ENVELOPE_BYTES_MAX,
    SIGNATURES_MAX,
    Envelope,
    Signature,
    pae,
    public_key_of,
    sign,
    verify,
)
from signers.statements.identifiers import Ed25519Key, KeyId
from signers.statements.refusals import Refusal, Tag
from tests.factories import World
from tests.unit.statements import second_encoder
from tests.unit.statements.examples import examples
from tests.unit.statements.refusing import refused

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
BASE = Envelope("application/vnd.bailee.test.v1+json", b'{"a":1}')
SIGNED = sign(KEY, BASE)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

payload_types = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
envelopes = st.builds(
    Envelope,
    payload_types,
    st.binary(max_size=200),
    st.lists(
        st.builds(
            Signature,
            st.binary(min_size=16, max_size=16).map(lambda raw: KeyId(raw.hex())),
            st.binary(min_size=64, max_size=64),
        ),
        max_size=4,
    ).map(tuple),
)


def test_pae_of_the_dsse_specification() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, "Test Vectors".
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert Envelope("http://example.com/HelloWorld", b"hello world").digest == (
        hashlib.sha256(expected).hexdigest()
    )


def test_pae_counts_bytes_not_characters() -> None:
    assert pae("\u20ac", "\u20ac".encode()) == b"DSSEv1 3 \xe2\x82\xac 3 \xe2\x82\xac"
    assert pae("", b"") == b"DSSEv1 0  0 "


@given(kind=st.text(st.characters(codec="utf-8"), max_size=40), payload=st.binary(max_size=80))
@examples(100)
def test_both_encodings_of_pae_agree(kind: str, payload: bytes) -> None:
    assert pae(kind, payload) == second_encoder.dsse_pae(kind, payload)


@given(
    one=st.tuples(st.text("ab 1", max_size=6), st.text("ab 1", max_size=6).map(str.encode)),
    other=st.tuples(st.text("ab 1", max_size=6), st.text("ab 1", max_size=6).map(str.encode)),
)
@examples(300)
def test_no_two_pairs_share_a_pae(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    assert (pae(*one) == pae(*other)) is (one == other)


@given(envelope=envelopes)
@examples(100)
def test_what_travels_arrives(envelope: Envelope) -> None:
    assert Envelope.from_json(envelope.to_json()) == envelope


@given(data=st.binary(max_size=80))
@examples(100)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        Envelope.from_json(data)


def test_adding_a_signature_changes_no_digest() -> None:
    assert SIGNED.digest == BASE.digest
    assert SIGNED.message == BASE.message


def test_rfc_8032_test_2() -> None:
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert public_key_of(key) == public
    assert key.sign(b"\x72") == signature
    assert verify(Ed25519Key(public), signature, b"\x72")
    assert not verify(Ed25519Key(public), signature, b"\x73")


def test_a_key_id_names_a_key_by_its_hash() -> None:
    key = public_key_of(KEY)
    assert key.key_id == hashlib.sha256(bytes.fromhex(key)).hexdigest()[:32]


def test_a_signature_counts_for_its_key_type_and_payload_alone() -> None:
    key, (signature,) = public_key_of(KEY), SIGNED.signatures
    other = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    assert SIGNED.signed_by(key)
    assert not SIGNED.signed_by(public_key_of(other))
    assert not Envelope(BASE.payload_type, b'{"a":2}', SIGNED.signatures).signed_by(key)
    assert not Envelope("application/other", BASE.payload, SIGNED.signatures).signed_by(key)
    another_hint = Signature(public_key_of(other).key_id, signature.sig)
    assert not Envelope(BASE.payload_type, BASE.payload, (another_hint,)).signed_by(key)
    assert not Envelope(BASE.payload_type, BASE.payload, (another_hint,)).signed_by(public_key_of(other))


def test_a_wrong_signature_before_a_right_one_does_not_hide_it() -> None:
    key = public_key_of(KEY)
    wrong = Signature(key.key_id, bytes(64))
    envelope = Envelope(BASE.payload_type, BASE.payload, (wrong, *SIGNED.signatures))
    assert envelope.signed_by(key)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_verifies_nothing(length: int) -> None:
    assert not verify(public_key_of(KEY), bytes(length), b"message")


def test_a_signature_has_one_encoding() -> None:
    # s and s + L are the same number modulo the group's order (RFC 8032, 5.1.7 asks for s < L).
    (signature,) = SIGNED.signatures
    s = int.from_bytes(signature.sig[32:], "little")
    for multiple in range(1, 15):
        again = signature.sig[:32] + (s + multiple * GROUP_ORDER).to_bytes(32, "little")
        assert not verify(public_key_of(KEY), again, SIGNED.message)
    for bit in range(512):
        flipped = bytearray(signature.sig)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not verify(public_key_of(KEY), bytes(flipped), SIGNED.message)


def test_a_signature_stands_once() -> None:
    assert sign(KEY, SIGNED) == SIGNED
    assert SIGNED.with_signature(SIGNED.signatures[0]) is SIGNED


def test_envelopes_of_one_payload_merge() -> None:
    other = sign(Ed25519PrivateKey.from_private_bytes(b"\x08" * 32), BASE)
    merged = BASE.with_signatures_of([SIGNED, other, SIGNED])
    assert merged.signatures == (*SIGNED.signatures, *other.signatures)


def test_envelopes_of_different_statements_do_not_merge() -> None:
    for other in (Envelope(BASE.payload_type, b'{"a":2}'), Envelope("application/other", BASE.payload)):
        with pytest.raises(ValueError, match="do not merge"):
            SIGNED.with_signatures_of([sign(KEY, other)])


def test_an_envelope_is_never_fuller_than_what_can_be_read() -> None:
    signatures = tuple(Signature(KeyId(f"{n:032x}"), bytes(64)) for n in range(SIGNATURES_MAX + 1))
    full = Envelope(BASE.payload_type, BASE.payload, signatures[:-1])
    assert Envelope.from_json(full.to_json()) == full
    with pytest.raises(ValueError, match="at most"):
        full.with_signature(signatures[-1])
    with pytest.raises(ValueError, match="at most"):
        full.with_signatures_of([Envelope(BASE.payload_type, BASE.payload, signatures[-1:])])


def test_the_largest_payload_fits_with_all_signatures(world: World) -> None:
    signatures = tuple(Signature(KeyId(f"{n:032x}"), bytes(64)) for n in range(SIGNATURES_MAX))
    full = Envelope("t" * 128, bytes(64 * 1024), signatures)
    assert len(full.to_json()) <= ENVELOPE_BYTES_MAX
    assert Envelope.from_json(full.to_json()) == full


def test_the_world_s_envelopes_travel(world: World) -> None:
    for envelope in (
        world.policy_envelope,
        world.account_envelope,
        world.intent_envelope(Asset.BTC),
        world.allowlist_envelope(Asset.ETH),
        *world.prices(Asset.BTC),
        *world.encumbrances(),
    ):
        assert Envelope.from_json(envelope.to_json()) == envelope


def travelling(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SIGNED.to_json())
    return {**document, **changes}


def signature(**changes: Any) -> list[dict[str, Any]]:
    return [{**travelling()["signatures"][0], **changes}]


def zeros(count: int) -> str:
    return base64.b64encode(bytes(count)).decode()


def test_the_baseline_of_the_table_is_read() -> None:
    assert Envelope.from_json(json.dumps(travelling(), indent=2).encode()) == SIGNED


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="array"),
        pytest.param(None, id="null"),
        pytest.param({}, id="empty"),
        pytest.param(travelling(extra=1), id="unknown field"),
        pytest.param({k: v for k, v in travelling().items() if k != "signatures"}, id="no signatures field"),
        pytest.param(travelling(signatures={}), id="signatures as object"),
        pytest.param(travelling(signatures=None), id="signatures null"),
        pytest.param(travelling(signatures=[None]), id="signature null"),
        pytest.param(travelling(signatures=[[]]), id="signature as array"),
        pytest.param(travelling(signatures=signature() * (SIGNATURES_MAX + 1)), id="too many signatures"),
        pytest.param(travelling(signatures=signature(extra=1)), id="unknown field of a signature"),
        pytest.param(travelling(signatures=[{"sig": signature()[0]["sig"]}]), id="no keyid"),
        pytest.param(travelling(signatures=signature(keyid=None)), id="keyid null"),
        pytest.param(travelling(signatures=signature(keyid="")), id="keyid empty"),
        pytest.param(travelling(signatures=signature(keyid="AB" * 16)), id="keyid upper case"),
        pytest.param(travelling(signatures=signature(keyid="ab" * 17)), id="keyid too long"),
        pytest.param(travelling(signatures=signature(sig=1)), id="sig as number"),
        pytest.param(travelling(signatures=signature(sig="")), id="sig empty"),
        pytest.param(travelling(signatures=signature(sig=zeros(63))), id="63 bytes"),
        pytest.param(travelling(signatures=signature(sig=zeros(65))), id="65 bytes"),
        pytest.param(travelling(signatures=signature(sig="A" * 85 + "B==")), id="sig with stray bits"),
        pytest.param(travelling(payload=None), id="payload null"),
        pytest.param(travelling(payload=["eyJhIjoxfQ=="]), id="payload as array"),
        pytest.param(travelling(payload="eyJhIjoxfQ"), id="payload without padding"),
        pytest.param(travelling(payload="eyJhIjoxfQ==\n"), id="payload with newline"),
        pytest.param(travelling(payload="eyJh IjoxfQ=="), id="payload with space"),
        pytest.param(travelling(payload="eyJhIjoxfR=="), id="payload with stray bits"),
        pytest.param(travelling(payload="eyJhIjoxfQ==AAAA"), id="payload after padding"),
        pytest.param(travelling(payload="eyJhIjoxfQ===="), id="payload with more padding"),
        pytest.param(travelling(payload="_-8="), id="payload in the URL-safe alphabet"),
        pytest.param(travelling(payload="\u0435yJhIjoxfQ=="), id="payload with a Cyrillic letter"),
        pytest.param(travelling(payloadType=None), id="type null"),
        pytest.param(travelling(payloadType=""), id="type empty"),
        pytest.param(travelling(payloadType="a b"), id="type with space"),
        pytest.param(travelling(payloadType="a\n"), id="type with newline"),
        pytest.param(travelling(payloadType="t" * 129), id="type too long"),
        pytest.param(travelling(payloadType="\ud800"), id="type without a PAE"),
        pytest.param(travelling(payloadType="\u20ac"), id="type not ASCII"),
    ],
)
def test_one_fault_of_an_envelope_is_refused(document: Any) -> None:
    with refused(Tag.STATEMENT_MALFORMED):
        Envelope.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("data", "tag"),
    [
        pytest.param(b"", Tag.STATEMENT_MALFORMED, id="empty"),
        pytest.param(SIGNED.to_json() + b"x", Tag.STATEMENT_MALFORMED, id="trailing byte"),
        pytest.param(SIGNED.to_json() * 2, Tag.STATEMENT_MALFORMED, id="two envelopes"),
        pytest.param(b"\xef\xbb\xbf" + SIGNED.to_json(), Tag.STATEMENT_MALFORMED, id="byte order mark"),
        pytest.param(b"[" * ENVELOPE_BYTES_MAX, Tag.STATEMENT_MALFORMED, id="nesting"),
        pytest.param(b"1" * 5000, Tag.STATEMENT_MALFORMED, id="long integer"),
        pytest.param(
            SIGNED.to_json() + b" " * ENVELOPE_BYTES_MAX, Tag.STATEMENT_MALFORMED, id="longer than the bound"
        ),
        pytest.param(
            SIGNED.to_json()[:-1] + b',"payload":""}', Tag.STATEMENT_DUPLICATE_KEY, id="duplicate field"
        ),
        pytest.param(
            SIGNED.to_json().replace(b'"sig":', b'"sig":"","sig":'),
            Tag.STATEMENT_DUPLICATE_KEY,
            id="duplicate field of a signature",
        ),
    ],
)
def test_one_fault_of_the_bytes_is_refused(data: bytes, tag: Tag) -> None:
    with refused(tag):
        Envelope.from_json(data)
