"""The development authority and its leaf certificates: for one localnet, thrown away with it.

A principal is the one DNS name in a certificate. Servers also carry the address 127.0.0.1, because everything
here listens on loopback; no certificate carries a second DNS name, so a principal is never ambiguous.
Production refuses certificates of an issuer whose organisation is `DEVELOPMENT_ORGANISATION`.
"""

import datetime as dt
import ipaddress
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.localnet.ports import LOOPBACK
from deploy.localnet.state import write_private

DEVELOPMENT_ORGANISATION: Final = "Bailee development, not for production"
_LIFETIME: Final = dt.timedelta(days=30)
_BACKDATED: Final = dt.timedelta(minutes=5)  # tolerates a second machine whose clock is behind


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A leaf and where its parts lie, all PEM.

    Attributes:
        name: its one DNS name, the principal.
        certificate_file: the leaf.
        key_file: its private key, PKCS#8, mode 0600.
        authority_file: the authority's certificate, to verify the other side with.
    """

    name: str
    certificate_file: Path
    key_file: Path
    authority_file: Path


def issued(folder: Path, name: str) -> Certificate:
    """The files of a leaf that an authority wrote to its folder; they may not be there."""
    return Certificate(
        name=name,
        certificate_file=folder / f"{name}.pem",
        key_file=folder / f"{name}-key.pem",
        authority_file=folder / "ca.pem",
    )


class CertificateAuthority:
    """An ECDSA P-256 authority that signs leaves for one localnet (RFC 5280).

    Args:
        folder: gets the authority's certificate and, per leaf, NAME.pem and NAME-key.pem.
        private_folder: gets the authority's own key, which no part ever needs.
    """

    def __init__(self, *, folder: Path, private_folder: Path) -> None:
        self.authority_file = folder / "ca.pem"
        self._folder = folder
        self._lock = threading.Lock()
        self._issued: dict[str, Certificate] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject("Bailee localnet authority")
        self._certificate = self._self_signed()
        write_private(private_folder / "ca-key.pem", _pem(self._key))
        write_private(self.authority_file, self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, server: bool = False, by_address: bool = False) -> Certificate:
        """The leaf of that DNS name, made at the first call.

        Args:
            name: the principal, as `signer-1.bailee`.
            server: whether it also listens; every leaf may act as a client.
            by_address: whether clients reach it as 127.0.0.1. Not for a principal, whose name stands alone.

        Raises:
            ValueError: the name was issued with the other kind before.
        """
        with self._lock:
            certificate = issued(self._folder, name)
            if name not in self._issued:
                key = ec.generate_private_key(ec.SECP256R1())
                leaf = self._leaf(
                    name=name, public_key=key.public_key(), server=server, by_address=by_address
                )
                write_private(certificate.key_file, _pem(key))
                write_private(certificate.certificate_file, leaf.public_bytes(serialization.Encoding.PEM))
                self._issued[name] = certificate
            elif server != _is_server(certificate.certificate_file):
                raise ValueError(f"{name} was issued as {'client' if server else 'server'} before")
            return self._issued[name]

    def _self_signed(self) -> x509.Certificate:
        return (
            _builder(subject=self._name, issuer=self._name, public_key=self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(
        self, *, name: str, public_key: ec.EllipticCurvePublicKey, server: bool, by_address: bool
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if by_address:
            names.append(x509.IPAddress(ipaddress.ip_address(LOOPBACK)))
        if server:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(subject=_subject(name), issuer=self._name, public_key=public_key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _builder(
    *, subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(tz=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_server(certificate_file: Path) -> bool:
    leaf = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return ExtendedKeyUsageOID.SERVER_AUTH in usages


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
