"""The whole main job on a network of its own, and what it leaves as evidence."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from signers.statements.amounts import Asset
from tests.system.demo.played import Played

pytestmark = pytest.mark.system

Step = dict[str, Any]

HASH = "[0-9a-f]{64}"
UNITS, NOTHING, HEIGHT = "[1-9][0-9]*", "0", "[1-9][0-9]*"
ADDRESS = "bcrt1q[02-9ac-hj-np-z]{38,58}|0x[0-9a-fA-F]{40}"
ACCOUNT, LISTED = "[a-z][a-z0-9-]+", "client-cold-(btc|eth)"
SIGNERS = "signer-[123]"

EVIDENCE: Mapping[str, Mapping[str, Any]] = {
    "a pledge account is opened": {"account": ACCOUNT, "statement_digest": HASH},
    "all parties sign, the signers co-sign and prove ownership": {
        "bitcoin_address": ADDRESS,
        "ethereum_address": ADDRESS,
        "descriptor": r"wsh\(sortedmulti\(2,(0[23][0-9a-f]{64},?){3}\)\)#[a-z0-9]{8}",
        "ethereum_custody": "single-holder",
    },
    "two destinations are proven, approved by two entities, and cool off": {
        "addresses": {LISTED: ADDRESS},
        "statement_digests": {LISTED: HASH},
    },
    "{asset}: a reorganisation reverses a pending deposit": {
        "txid": HASH,
        "units": UNITS,
        "height": HEIGHT,
        "block_hash": HASH,
        "replaced_by": HASH,
        "deposit": f"accounts/{ACCOUNT}/deposits/.+",
        "confirmed_after": NOTHING,
        "pending_after": NOTHING,
    },
    "{asset}: a deposit is seen, confirmed and credited": {
        "txid": HASH,
        "units": UNITS,
        "height": HEIGHT,
        "block_hash": HASH,
    },
    "the margin engine's stream shows signed lending value": {
        **{f"{asset}_confirmed": UNITS for asset in Asset},
        **{f"{asset}_lending_value_e8": UNITS for asset in Asset},
        **{f"{asset}_block_hash": HASH for asset in Asset},
        "report_digest": HASH,
        "lending_value_e8": UNITS,
    },
    "a lien is reserved before the order, posted in part at the fill": {
        "lien": f"accounts/{ACCOUNT}/liens/order-one",
        "reserved": UNITS,
        "posted": UNITS,
        "statement_digest": HASH,
    },
    "an order is abandoned and its lien voided": {
        "lien": f"accounts/{ACCOUNT}/liens/order-two",
        "state": "VOIDED",
    },
    "two racing reservations cannot both have the same coins": {
        "each": UNITS,
        "won": "race-[ab]",
        "refused": "COLLATERAL_INSUFFICIENT",
    },
    "a reservation of more than is free is refused": {"refused": "COLLATERAL_INSUFFICIENT", "free": UNITS},
    "{asset}: more than is free is refused": {"asked": UNITS, "refused": "COLLATERAL_INSUFFICIENT"},
    "{asset}: the pledgor asks, the secured party releases": {
        "withdrawal": "payout-(btc|eth)",
        "intent_digest": HASH,
        "release_digest": HASH,
        "amount": UNITS,
    },
    "{asset}: two entities approve; signer-3 is down, so nobody signs": {
        "state": "ANNOUNCING",
        "announced_by": r"\['signer-1', 'signer-2'\]|\['signer-2', 'signer-1'\]",
    },
    "{asset}: a custody that lies to the signers is refused": {
        "refused": "approval-wrong-intent",
        "by": "signer-1",
    },
    "{asset}: signer-3 is back, every signer has announced": {"receipt_digests": {SIGNERS: HASH}},
    "{asset}: after the timelock, signed by the signers and broadcast": {
        "txid": HASH,
        "fee_at_most": UNITS,
        "receipt_digests": {SIGNERS: HASH},
    },
    "{asset}: confirmed and settled": {
        "txid": HASH,
        "height": HEIGHT,
        "block_hash": HASH,
        "arrived": UNITS,
        "fee": UNITS,
    },
    "{asset}: ledger, report and chain agree": {
        "address": ADDRESS,
        "pledged": UNITS,
        "withdrawn": UNITS,
        "fees": {HASH: UNITS},
        "ledger": UNITS,
        "chain": UNITS,
    },
}
"""What each kind of step has to leave, and how it is written."""


@pytest.fixture(scope="module")
def steps(played: Played, tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """As `make demo` writes them."""
    file = tmp_path_factory.mktemp("evidence") / "demo.json"
    played.record.write(file)
    written: list[Step] = json.loads(file.read_text())["steps"]
    return written


def kind(step: Step) -> str:
    return re.sub("^(BTC|ETH): ", "{asset}: ", step["name"])


def evidence(steps: list[Step], name: str) -> Any:
    """What the step of that name left."""
    (found,) = (step["evidence"] for step in steps if step["name"] == name)
    return found


def fits(value: Any, shape: Any) -> bool:
    """Whether what is left has this shape: a pattern, or by key where the shape has keys."""
    if isinstance(shape, str):
        return re.fullmatch(shape, str(value)) is not None
    ((key_shape, value_shape),) = shape.items()
    return bool(value) and all(fits(k, key_shape) and fits(v, value_shape) for k, v in value.items())


def faults(step: Step) -> list[str]:
    """What of a step's evidence is missing, unknown, or written otherwise."""
    left, wanted = step["evidence"], EVIDENCE[kind(step)]
    return [
        f"{step['name']}: {key}"
        for key in sorted({*left, *wanted})
        if key not in left or key not in wanted or not fits(left[key], wanted[key])
    ]


def test_every_step_holds_and_leaves_its_evidence(steps: list[Step]) -> None:
    assert [step["name"] for step in steps if not step["ok"] or step["seconds"] < 0] == []
    assert [fault for step in steps for fault in faults(step)] == []


def test_every_kind_of_step_was_played_on_each_chain_it_is_about(steps: list[Step]) -> None:
    wanted = {name.format(asset=asset) for name in EVIDENCE for asset in Asset}
    assert sorted(step["name"] for step in steps) == sorted(wanted)


def test_a_step_that_loses_or_misspells_any_of_it_is_seen(steps: list[Step]) -> None:
    for step in steps:
        for key in step["evidence"]:
            without, misspelt = deepcopy(step), deepcopy(step)
            del without["evidence"][key]
            misspelt["evidence"][key] = ""
            assert faults(without) == faults(misspelt) == [f"{step['name']}: {key}"]


@pytest.mark.parametrize("asset", list(Asset))
def test_every_block_stands_where_it_is_said_to_by_the_node_s_own_word(
    played: Played, steps: list[Step], asset: Asset
) -> None:
    reversed_ = evidence(steps, f"{asset}: a reorganisation reverses a pending deposit")
    credited = evidence(steps, f"{asset}: a deposit is seen, confirmed and credited")
    settled = evidence(steps, f"{asset}: confirmed and settled")
    standing = [(reversed_["height"], reversed_["replaced_by"])]
    standing += [(each["height"], each["block_hash"]) for each in (credited, settled)]
    assert [block_at(played, asset, height) for height, _ in standing] == [name for _, name in standing]
    assert reversed_["block_hash"] != reversed_["replaced_by"]


def block_at(played: Played, asset: Asset, height: int) -> str:
    if asset is Asset.BTC:
        return str(played.net.bitcoind.call("getblockhash", height))
    block = played.net.anvil.call("eth_getBlockByNumber", hex(height), False)
    return str(block["hash"]).removeprefix("0x")


@pytest.mark.parametrize("asset", list(Asset))
def test_the_figures_add_up_to_the_last_unit(steps: list[Step], asset: Asset) -> None:
    came = evidence(steps, f"{asset}: a deposit is seen, confirmed and credited")
    left = evidence(steps, f"{asset}: confirmed and settled")
    end = evidence(steps, f"{asset}: ledger, report and chain agree")
    assert (end["pledged"], end["withdrawn"]) == (came["units"], left["arrived"])
    assert end["fees"] == {left["txid"]: left["fee"]}
    remains = int(came["units"]) - int(left["arrived"]) - int(left["fee"])
    assert end["chain"] == end["ledger"] == str(remains)


@pytest.mark.parametrize(("asset", "signing"), [(Asset.BTC, 2), (Asset.ETH, 1)])
def test_every_signer_announced_and_as_many_signed_as_it_takes(
    steps: list[Step], asset: Asset, signing: int
) -> None:
    announced = evidence(steps, f"{asset}: signer-3 is back, every signer has announced")
    signed = evidence(steps, f"{asset}: after the timelock, signed by the signers and broadcast")
    assert sorted(announced["receipt_digests"]) == ["signer-1", "signer-2", "signer-3"]
    assert len(signed["receipt_digests"]) == signing
