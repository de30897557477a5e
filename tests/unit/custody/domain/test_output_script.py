"""The five kinds of script that coins may be paid to, and what looks like one."""

import pytest

from custody.domain.output_script import is_standard
from signers.statements.identifiers import ScriptPubKey

STANDARD = {
    "p2pkh": "76a914" + "11" * 20 + "88ac",
    "p2sh": "a914" + "11" * 20 + "87",
    "p2wpkh": "0014" + "11" * 20,
    "p2wsh": "0020" + "11" * 32,
    "p2tr": "5120" + "11" * 32,
}


@pytest.mark.parametrize("script", STANDARD.values(), ids=STANDARD)
def test_what_somebody_in_particular_spends(script: str) -> None:
    assert is_standard(ScriptPubKey(script))


@pytest.mark.parametrize("script", STANDARD.values(), ids=STANDARD)
def test_one_byte_is_something_else(script: str) -> None:
    raw = bytes.fromhex(script)
    other_opcode, other_length = bytes([raw[0] ^ 0x80]) + raw[1:], raw[:1] + bytes([raw[1] ^ 0x80]) + raw[2:]
    for changed in (raw + b"\x0a", b"\x0a" + raw, raw[:-1], raw[1:], other_opcode, other_length):
        assert not is_standard(ScriptPubKey(changed.hex()))


@pytest.mark.parametrize("kind", ["p2pkh", "p2sh"])
def test_another_ending_is_something_else(kind: str) -> None:
    assert not is_standard(ScriptPubKey(STANDARD[kind][:-2] + "89"))


def test_a_newline_is_a_byte_like_any_other() -> None:
    assert is_standard(ScriptPubKey("0014" + "0a" * 20))
    assert not is_standard(ScriptPubKey("0014" + "0a" * 21))


@pytest.mark.parametrize("version", range(2, 17))
def test_a_witness_version_without_rules_is_anyones(version: int) -> None:
    assert not is_standard(ScriptPubKey(f"{0x50 + version:02x}20" + "11" * 32))
