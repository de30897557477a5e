"""Canonical bytes: one spelling is read, each other is refused by its tag."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.statements import canonical
from signers.statements.amounts import Asset
from signers.statements.canonical import INTEGER_MAX, PAYLOAD_BYTES_MAX
from signers.statements.refusals import Refusal, Tag
from tests.factories import World
from tests.unit.statements import second_encoder
from tests.unit.statements.examples import examples
from tests.unit.statements.refusing import refused

MALFORMED = Tag.STATEMENT_MALFORMED
NON_CANONICAL = Tag.STATEMENT_NON_CANONICAL
DUPLICATE = Tag.STATEMENT_DUPLICATE_KEY

# RFC 8785, section 3.2.3: the names of the sorting sample in the order the RFC gives.
SORTED_NAMES = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]

# RFC 8785, section 3.2.2: the strings and literals of the sample, and their canonical form in 3.2.3.
SAMPLE = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
SAMPLE_CANONICAL = '{"literals":[null,true,false],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("encoder", [canonical.encode, lambda value: second_encoder.jcs(value).encode()])
def test_rfc_8785_vectors(encoder: Callable[[Any], bytes]) -> None:
    names = json.loads(encoder(dict.fromkeys(reversed(SORTED_NAMES), 0)))
    assert list(names) == SORTED_NAMES
    assert encoder(SAMPLE) == SAMPLE_CANONICAL.encode()
    assert encoder([0, -0, 1, -1, INTEGER_MAX, -INTEGER_MAX]) == (
        b"[0,0,1,-1,9007199254740991,-9007199254740991]"
    )
    control = "".join(map(chr, range(0x20))) + "\x7f/"
    assert encoder(control) == (
        b'"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f'
        b"\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c"
        b'\\u001d\\u001e\\u001f\x7f/"'
    )


@given(value=json_values)
@examples(300)
def test_both_encoders_agree_on_any_json(value: Any) -> None:
    payload = canonical.encode(value)
    assert payload == second_encoder.jcs(value).encode()
    if payload.isascii():
        assert canonical.parse(payload) == value


@given(payload=st.binary(max_size=60) | st.text(st.characters(codec="ascii"), max_size=60).map(str.encode))
@examples(500)
def test_whatever_is_read_is_its_own_canonical_form(payload: bytes) -> None:
    try:
        value = canonical.parse(payload)
    except Refusal:
        return
    assert second_encoder.jcs(value).encode() == payload


@pytest.mark.parametrize("value", [INTEGER_MAX + 1, -INTEGER_MAX - 1, "\ud800", {"\udfff": 1}, object()])
def test_what_has_no_canonical_form_is_not_encoded(value: Any) -> None:
    with pytest.raises(ValueError, match=r"exceeds|codepoints|surrogates|unsupported"):
        canonical.encode(value)


@pytest.mark.parametrize(
    ("payload", "tag"),
    [
        pytest.param(b'{"a":1,"a":1}', DUPLICATE, id="duplicate key, equal values"),
        pytest.param(b'{"a":1,"a":2}', DUPLICATE, id="duplicate key"),
        pytest.param(b'{"a":1,"\\u0061":2}', DUPLICATE, id="duplicate key, escaped"),
        pytest.param(b'[{"a":{"b":1,"b":1}}]', DUPLICATE, id="duplicate key, nested"),
        pytest.param(b'{"a": 1}', NON_CANONICAL, id="space"),
        pytest.param(b' {"a":1}', NON_CANONICAL, id="leading space"),
        pytest.param(b'{"a":1}\n', NON_CANONICAL, id="trailing newline"),
        pytest.param(b'{"a":\t1}', NON_CANONICAL, id="tab"),
        pytest.param(b'{"b":1,"a":1}', NON_CANONICAL, id="key order"),
        pytest.param(b'{"\\u0061":1}', NON_CANONICAL, id="escaped key"),
        pytest.param(b'"\\u0041"', NON_CANONICAL, id="escape of a letter"),
        pytest.param(b'"\\/"', NON_CANONICAL, id="escaped solidus"),
        pytest.param(b'"\\u000a"', NON_CANONICAL, id="long escape of newline"),
        pytest.param(b'"\\u001F"', NON_CANONICAL, id="upper-case escape"),
        pytest.param(b'"\\u20ac"', NON_CANONICAL, id="escape of a character that is not ASCII"),
        pytest.param(b'"\\ud83d\\ude00"', NON_CANONICAL, id="escaped surrogate pair"),
        pytest.param(b"-0", NON_CANONICAL, id="minus zero"),
        pytest.param(b"1.0", MALFORMED, id="integral float"),
        pytest.param(b"0.5", MALFORMED, id="float"),
        pytest.param(b"-0.0", MALFORMED, id="minus zero, float"),
        pytest.param(b"1e3", MALFORMED, id="exponent"),
        pytest.param(b"1E+3", MALFORMED, id="exponent, upper case"),
        pytest.param(b"1e999", MALFORMED, id="infinite exponent"),
        pytest.param(b"NaN", MALFORMED, id="NaN"),
        pytest.param(b"Infinity", MALFORMED, id="Infinity"),
        pytest.param(b"-Infinity", MALFORMED, id="-Infinity"),
        pytest.param(b"9007199254740992", MALFORMED, id="2^53"),
        pytest.param(b"-9007199254740992", MALFORMED, id="-2^53"),
        pytest.param(b"1" * 5000, MALFORMED, id="integer of 5000 digits"),
        pytest.param(b"01", MALFORMED, id="leading zero"),
        pytest.param(b"+1", MALFORMED, id="plus sign"),
        pytest.param(b'"\\ud800"', MALFORMED, id="lone high surrogate"),
        pytest.param(b'"\\udc00"', MALFORMED, id="lone low surrogate"),
        pytest.param(b'{"\\ud800":1}', MALFORMED, id="lone surrogate as key"),
        pytest.param("\u20ac".join('""').encode(), MALFORMED, id="not ASCII"),
        pytest.param(b'"\xff"', MALFORMED, id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", MALFORMED, id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), MALFORMED, id="UTF-16"),
        pytest.param(b"", MALFORMED, id="empty"),
        pytest.param(b"{}{}", MALFORMED, id="two values"),
        pytest.param(b'{"a":1}x', MALFORMED, id="trailing byte"),
        pytest.param(b'{"a":1}\x00', MALFORMED, id="trailing NUL"),
        pytest.param(b'{"a":1,}', MALFORMED, id="trailing comma"),
        pytest.param(b"{'a':1}", MALFORMED, id="single quotes"),
        pytest.param(b"{a:1}", MALFORMED, id="bare key"),
        pytest.param(b"/**/{}", MALFORMED, id="comment"),
        pytest.param(b'"\n"', MALFORMED, id="raw control character"),
        pytest.param(b'"\\x41"', MALFORMED, id="unknown escape"),
        pytest.param(b"[" * 900, MALFORMED, id="unclosed nesting"),
        pytest.param(b"[" * PAYLOAD_BYTES_MAX, MALFORMED, id="nesting as deep as a payload is long"),
        pytest.param(
            b"[" * (PAYLOAD_BYTES_MAX // 2) + b"]" * (PAYLOAD_BYTES_MAX // 2), MALFORMED, id="closed nesting"
        ),
        pytest.param(
            b'{"a":' * (PAYLOAD_BYTES_MAX // 6) + b"1" + b"}" * (PAYLOAD_BYTES_MAX // 6),
            MALFORMED,
            id="nested objects",
        ),
        pytest.param(b'"' + b"a" * (PAYLOAD_BYTES_MAX - 1) + b'"', MALFORMED, id="one byte too long"),
    ],
)
def test_another_spelling_is_refused(payload: bytes, tag: Tag) -> None:
    with refused(tag):
        canonical.parse(payload)


def test_the_bounds_are_inclusive() -> None:
    longest = b'"' + b"a" * (PAYLOAD_BYTES_MAX - 2) + b'"'
    assert canonical.parse(longest) == "a" * (PAYLOAD_BYTES_MAX - 2)
    assert canonical.parse(b"9007199254740991") == INTEGER_MAX
    assert canonical.parse(b"-9007199254740991") == -INTEGER_MAX


def test_no_depth_of_nesting_is_more_than_refused() -> None:
    # Reading and encoding recurse a few frames apart, so some depth is read and yet too deep to encode again.
    # Up to beyond Python's own limit: a library may have raised this process's to any number.
    for depth in range(1, 1_020):
        try:
            canonical.parse(b"[" * depth + b"]" * depth)
        except Refusal as refusal:
            tag: Tag | None = refusal.tag
        else:
            tag = None
        assert tag in {None, MALFORMED}


def test_another_spelling_of_a_real_statement_is_refused(world: World) -> None:
    intent = world.intent(Asset.BTC)
    document = json.loads(intent.payload())
    for spelling in (
        json.dumps(document),
        json.dumps(document, indent=1),
        json.dumps(dict(reversed(document.items())), separators=(",", ":")),
        intent.payload().decode().replace("regtest", "regtes\\u0074"),
    ):
        with refused(NON_CANONICAL):
            type(intent).parse(spelling.encode())
