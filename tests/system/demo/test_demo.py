"""The whole main job on a network of its own; afterwards nothing secret lies anywhere it must not."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from embit.ec import PrivateKey

from tests.system.demo.played import SIGNERS, Played
from tests.system.search import found

pytestmark = pytest.mark.system


def test_every_step_holds_and_leaves_evidence(played: Played, tmp_path: Path) -> None:
    played.record.write(tmp_path / "demo.json")
    steps = json.loads((tmp_path / "demo.json").read_text())["steps"]
    assert steps
    assert [step["name"] for step in steps if not step["ok"] or not step["evidence"]] == []


def test_the_demo_shows_each_refusal_by_its_name(played: Played) -> None:
    refusals = [step.evidence["refused"] for step in played.record.steps if "refused" in step.evidence]
    assert refusals.count("COLLATERAL_INSUFFICIENT") == 4
    assert refusals.count("approval-wrong-intent") == 2


def test_account_keys_are_nowhere(played: Played) -> None:
    keys = [key for number in SIGNERS for key in played.private_keys(number)]
    assert len(keys) == 4, "three for BTC and one for ETH"
    needles = {name: text for key in keys for name, text in _spellings(key).items()}
    assert found(played.net, needles) == []


def test_tokens_and_unseal_shares_are_only_with_the_deliverer(played: Played) -> None:
    needles = {}
    for bao in played.net.openbao:
        secrets = json.loads(bao.secrets_file.read_text())
        needles[f"{bao.name} root"] = secrets["root_token"].encode()
        needles |= {f"{bao.name} share {i}": s.encode() for i, s in enumerate(secrets["unseal_shares"])}
    assert found(played.net, needles, apart=("deliverer",)) == []


def test_no_delivered_secret_id_is_left(played: Played) -> None:
    assert list(played.net.state.path.rglob("wrapped-secret-id*")) == []


def test_the_search_finds_what_is_there(played: Played) -> None:
    digest = played.net.policy.digest.encode()
    assert found(played.net, {"policy": digest}) != []


def test_signers_are_not_dumpable(played: Played) -> None:
    # Only a process can ask for its own PR_GET_DUMPABLE: each signer does at its start, and says what it saw.
    for number in SIGNERS:
        log = (played.net.state.logs / f"signer-{number}.log").read_text()
        assert "process: non-dumpable, no core files" in log


def _spellings(raw: bytes) -> dict[str, bytes]:
    key = ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256K1())
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    name = raw.hex()[:6]
    return {
        f"{name} raw": raw,
        f"{name} hex": raw.hex().encode(),
        f"{name} HEX": raw.hex().upper().encode(),
        f"{name} base64": base64.b64encode(raw).rstrip(b"="),
        f"{name} WIF": PrivateKey(raw).wif().encode(),
        f"{name} PKCS#8": pkcs8,
        f"{name} PKCS#8 base64": base64.b64encode(pkcs8),
    }
