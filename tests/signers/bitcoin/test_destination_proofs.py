"""The world that other tests share proves its destinations for real where it is asked to."""

from signers.bitcoin import bip322
from signers.ethereum import eip191
from signers.statements.amounts import Asset
from tests.factories import build_world
from tests.signers.bitcoin.destination_proofs import prove_destination


def test_the_worlds_destinations_are_proven() -> None:
    world = build_world(prove=prove_destination)
    bip322.verify_destination_proof(world.allowlist_entry(Asset.BTC))
    eip191.verify_destination_proof(world.allowlist_entry(Asset.ETH))
