import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client import load_key, new_key
from custody.client.pkcs8 import PBKDF2_ROUNDS
from signers.statements.envelope import public_key_of

PASSPHRASE = b"correct horse battery"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    new_key(path, PASSPHRASE)
    return path


def test_a_new_key_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public = new_key(path, PASSPHRASE)
    assert public_key_of(load_key(path, PASSPHRASE)) == public
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_is_standard_and_costs_an_attacker_every_guess(key_file: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, the independent reader, is not installed")
    read = subprocess.run(
        [openssl, "pkey", "-in", key_file, "-passin", f"pass:{PASSPHRASE.decode()}", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ED25519" in read.stdout
    dump = subprocess.run(
        [openssl, "asn1parse", "-in", key_file], capture_output=True, text=True, check=True
    ).stdout
    assert f"INTEGER           :{PBKDF2_ROUNDS:X}" in dump.replace(":0", ":")
    assert "aes-256-cbc" in dump
    assert "hmacWithSHA256" in dump


def test_nothing_is_overwritten(key_file: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(FileExistsError):
        new_key(key_file, PASSPHRASE)
    assert key_file.read_bytes() == before


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 12"):
        new_key(tmp_path / "key.pem", b"elevenbytes")
    assert not (tmp_path / "key.pem").exists()


def test_a_wrong_passphrase_is_refused(key_file: Path) -> None:
    with pytest.raises(ValueError, match="wrong passphrase"):
        load_key(key_file, b"correct horse batter!")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_reach_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(PermissionError):
        load_key(key_file, PASSPHRASE)


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, *, encrypted: bool) -> bytes:
    how = serialization.BestAvailableEncryption(PASSPHRASE) if encrypted else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (_pem(Ed25519PrivateKey.generate(), encrypted=False), "not encrypted"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), encrypted=True), "not an Ed25519 key"),
        (b"no key at all", "no encrypted PKCS#8 key"),
        (b"", "no encrypted PKCS#8 key"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, pem: bytes, why: str) -> None:
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)
    with pytest.raises(ValueError, match=why):
        load_key(path, PASSPHRASE)
