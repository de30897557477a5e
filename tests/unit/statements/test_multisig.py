"""The account's script against BIP-67's own vector and an independent descriptor library."""

import hashlib
import itertools

import pytest
from embit.descriptor import Descriptor

from signers.statements import multisig
from signers.statements.identifiers import CompressedKey
from tests.factories import World, build_world

# BIP-67, test vectors, the fourth: three keys, and the 2-of-3 script they sort to.
BIP_67_KEYS = (
    "022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da",
    "03e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e9",
    "021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18",
)
BIP_67_SCRIPT = (
    "5221021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18"
    "21022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da"
    "2103e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e953ae"
)


def test_bip_67_vector_in_every_order() -> None:
    for keys in itertools.permutations(map(CompressedKey, BIP_67_KEYS)):
        assert multisig.witness_script(keys).hex() == BIP_67_SCRIPT
        expected = hashlib.sha256(bytes.fromhex(BIP_67_SCRIPT)).hexdigest()
        assert multisig.script_pubkey(keys) == "0020" + expected


@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_a_descriptor_library_derives_the_same_script(seed: str) -> None:
    keys = build_world(seed=seed).account.bitcoin.keys
    descriptor = Descriptor.from_string(multisig.descriptor(keys))
    assert descriptor.script_pubkey().data.hex() == multisig.script_pubkey(keys)
    assert descriptor.witness_script().data == multisig.witness_script(keys)


def test_three_distinct_keys(world: World) -> None:
    one, two, three = world.account.bitcoin.keys
    for keys in ((), (one,), (one, two), (one, two, one), (one, one, one), (one, two, three, one)):
        for derive in (multisig.witness_script, multisig.script_pubkey, multisig.descriptor):
            with pytest.raises(ValueError, match="exactly three distinct keys"):
                derive(keys)
