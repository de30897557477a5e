"""Certificates and running servers: three signers of a stage behind real mutual TLS."""

import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from bailee.signer.v1 import signer_pb2_grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signers.peers.client import PeerAddress, PeerClient
from signers.rules.reconciliation import Reconciliation
from signers.rules.signer import Signer
from signers.service.server import Callers, SignerServer, Tls
from tests.signers.stage import Stage

CUSTODY = "custody.bailee"


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = folder / "authority.pem"
        certificate = self._builder(self.name, self.key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file.write_bytes(_pem(certificate.sign(self.key, hashes.SHA256())))

    def issue(self, *names: str) -> Tls:
        """A certificate with these DNS names."""
        return self.issue_for(*(x509.DNSName(name) for name in names))

    def issue_for(self, *names: x509.GeneralName) -> Tls:
        """A certificate with these names, of whatever kind."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")])
        alternatives = x509.SubjectAlternativeName(names)
        certificate = self._builder(subject, key.public_key()).add_extension(alternatives, critical=False)
        stem = self.folder / hashlib.sha256(repr(names).encode()).hexdigest()
        files = Tls(certificate=stem.with_suffix(".crt"), key=stem.with_suffix(".key"), authority=self.file)
        files.certificate.write_bytes(_pem(certificate.sign(self.key, hashes.SHA256())))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class Wired:
    """A stage whose signers answer on real ports and reach each other there."""

    stage: Stage
    authority: Authority
    opened: AsyncExitStack
    ports: list[int] = field(default_factory=list)
    signers: list[Signer] = field(default_factory=list)
    fatal: list[Exception] = field(default_factory=list)
    servers: list[SignerServer] = field(default_factory=list)

    @classmethod
    async def set_up(cls, stage: Stage, authority: Authority, opened: AsyncExitStack) -> "Wired":
        wired = cls(stage, authority, opened)
        names = {f"{signer.id}.bailee": signer.id for signer in stage.signers}
        files = [authority.issue(name) for name in names]
        for signer, tls in zip(stage.signers, files, strict=True):
            peers = {name: who for name, who in names.items() if who != signer.id}
            callers = Callers(custody=frozenset({CUSTODY}), peers=peers)
            server = SignerServer(signer, tls=tls, callers=callers, on_fatal=wired.fatal.append)
            wired.ports.append(await server.start("127.0.0.1:0"))
            opened.push_async_callback(server.stop)
            wired.servers.append(server)
        wired.signers = [wired.over_the_wire(index) for index in range(3)]
        for signer in wired.signers:
            for peer in signer.reconciliation.silent:
                await signer.reconciliation.ask(peer)
        return wired

    def over_the_wire(self, index: int) -> Signer:
        """The signer with peers that it reaches by gRPC, none of which has confirmed its journal yet."""
        signer, tls = self.stage[index], self.authority.issue(f"{self.stage[index].id}.bailee")
        addresses = [
            PeerAddress(
                signer=peer.id, target=f"127.0.0.1:{self.ports[number]}", certificate_name=f"{peer.id}.bailee"
            )
            for number, peer in enumerate(self.stage.signers)
            if number != index
        ]
        client = PeerClient(addresses, certificate=tls.certificate, key=tls.key, authority=tls.authority)
        self.opened.push_async_callback(client.close)
        keys = {each.signer: each.public_key for each in self.stage.world.signers if each.signer != signer.id}
        reconciliation = Reconciliation(
            own_id=signer.id,
            network=signer.network,
            journal=signer.journal,
            peer_keys=keys,
            peers=client,
        )
        return replace(signer, peers=client, reconciliation=reconciliation)

    def channel(self, index: int, tls: Tls | None) -> grpc.aio.Channel:
        """A client's connection to one signer."""
        pair = (None, None) if tls is None else (tls.key.read_bytes(), tls.certificate.read_bytes())
        credentials = grpc.ssl_channel_credentials(self.authority.file.read_bytes(), *pair)
        options: list[tuple[str, Any]] = [
            ("grpc.ssl_target_name_override", f"{self.stage[index].id}.bailee"),
            ("grpc.enable_http_proxy", 0),
        ]
        channel = grpc.aio.secure_channel(f"127.0.0.1:{self.ports[index]}", credentials, options=options)
        self.opened.push_async_callback(channel.close)
        return channel

    def custody(self, index: int) -> "signer_pb2_grpc.SignerServiceAsyncStub":
        return signer_pb2_grpc.SignerServiceStub(self.channel(index, self.authority.issue(CUSTODY)))
