import socket
import ssl
import stat
import threading
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.localnet.certificates import DEVELOPMENT_ORGANISATION, Certificate, CertificateAuthority
from deploy.localnet.ports import LOOPBACK

pytestmark = pytest.mark.system


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return another_authority(tmp_path / "one")


def another_authority(folder: Path) -> CertificateAuthority:
    (folder / "private").mkdir(parents=True)
    return CertificateAuthority(folder=folder, private_folder=folder / "private")


def names_of(certificate: Certificate) -> x509.SubjectAlternativeName:
    leaf = x509.load_pem_x509_certificate(certificate.certificate_file.read_bytes())
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def shake_hands(*, server: Certificate, client: Certificate, expected_server: str) -> str:
    """The client's principal as the server sees it, over a mutual TLS 1.3 connection."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(server.authority_file))
    serving.load_cert_chain(server.certificate_file, server.key_file)
    serving.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(client.authority_file))
    calling.load_cert_chain(client.certificate_file, client.key_file)
    for context in (serving, calling):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(30)
        caller = threading.Thread(target=_call, args=(calling, listener.getsockname(), expected_server))
        caller.start()
        try:
            accepted, _address = listener.accept()
            with serving.wrap_socket(accepted, server_side=True) as connection:
                connection.sendall(b"x")
                peer = connection.getpeercert()
        finally:
            caller.join()
    assert peer is not None
    names = cast("tuple[tuple[str, str], ...]", peer["subjectAltName"])
    (name,) = [value for kind, value in names if kind == "DNS"]
    return name


def _call(context: ssl.SSLContext, address: tuple[str, int], expected_server: str) -> None:
    try:
        with (
            socket.create_connection(address, timeout=30) as raw,
            context.wrap_socket(raw, server_hostname=expected_server) as connection,
        ):
            connection.recv(1)
    except OSError:
        return  # the server's side of the test asserts


def test_the_principal_is_the_one_dns_name(authority: CertificateAuthority) -> None:
    certificate = authority.issue("margin-engine.broker-one")
    assert names_of(certificate).get_values_for_type(x509.DNSName) == ["margin-engine.broker-one"]
    assert names_of(certificate).get_values_for_type(x509.IPAddress) == []


def test_a_principal_that_serves_has_no_second_name(authority: CertificateAuthority) -> None:
    names = names_of(authority.issue("signer-1.bailee", server=True))
    assert [str(name.value) for name in names] == ["signer-1.bailee"]


def test_a_server_reached_by_address_has_loopback_too(authority: CertificateAuthority) -> None:
    names = names_of(authority.issue("signer-1.bailee", server=True, by_address=True))
    assert names.get_values_for_type(x509.DNSName) == ["signer-1.bailee"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [LOOPBACK]


@pytest.mark.parametrize("expected", ["signer-1.bailee", LOOPBACK])
def test_mutual_tls(authority: CertificateAuthority, expected: str) -> None:
    server = authority.issue("signer-1.bailee", server=True, by_address=True)
    client = authority.issue("custody.bailee", server=True)
    assert shake_hands(server=server, client=client, expected_server=expected) == "custody.bailee"


def test_a_client_certificate_serves_nobody(authority: CertificateAuthority) -> None:
    client = authority.issue("custody.bailee")
    with pytest.raises(ssl.SSLError):
        shake_hands(
            server=authority.issue("auditor.example"), client=client, expected_server="auditor.example"
        )


def test_another_localnets_certificate_is_refused(authority: CertificateAuthority, tmp_path: Path) -> None:
    server = authority.issue("signer-1.bailee", server=True)
    stranger = another_authority(tmp_path / "two").issue("custody.bailee")
    trusting = Certificate(
        name=stranger.name,
        certificate_file=stranger.certificate_file,
        key_file=stranger.key_file,
        authority_file=server.authority_file,
    )
    with pytest.raises(ssl.SSLError):
        shake_hands(server=server, client=trusting, expected_server="signer-1.bailee")


def test_keys_are_p256_and_private(authority: CertificateAuthority, tmp_path: Path) -> None:
    certificate = authority.issue("custody.bailee", server=True)
    leaf = x509.load_pem_x509_certificate(certificate.certificate_file.read_bytes())
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert leaf.issuer.rfc4514_string().find(DEVELOPMENT_ORGANISATION.replace(",", "\\,")) >= 0
    for key_file in (certificate.key_file, tmp_path / "one/private/ca-key.pem"):
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_one_name_is_issued_once(authority: CertificateAuthority) -> None:
    first = authority.issue("custody.bailee", server=True)
    content = first.certificate_file.read_bytes()
    assert authority.issue("custody.bailee", server=True) == first
    assert first.certificate_file.read_bytes() == content
    with pytest.raises(ValueError, match="issued as server before"):
        authority.issue("custody.bailee")
