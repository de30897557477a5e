"""Restore and rotation as the operator guide tells them, and what everybody sees when a copy is old."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.localnet.certificates import CertificateAuthority
from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.stage import ACCOUNT, set_stage
from deploy.localnet.dev.first_account import open_first_account
from deploy.localnet.localnet import Localnet
from deploy.localnet.service_process import ServiceProcess, is_serving
from deploy.localnet.wallet import Wallets
from tests.system.cli.cast import APPROVERS, AUDITOR, ENGINE, FEEDS, PLEDGOR
from tests.system.cli.command import Command
from tests.system.localnet.running import eventually

pytestmark = [pytest.mark.system, pytest.mark.slow]


@dataclass(frozen=True, kw_only=True)
class World:
    net: Localnet
    bailee: Command


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A network of its own, whose parts are mistreated, with an account on it."""

    async def open_account(net: Localnet) -> None:
        async with set_stage(net, Recorder()) as stage:
            await open_first_account(stage, Wallets.of(net.state.path))

    with Localnet(folder=tmp_path_factory.mktemp("recovery") / "state") as net:
        asyncio.run(open_account(net))
        yield World(net=net, bailee=Command(profiles=net.profiles, home=tmp_path_factory.mktemp("home")))


def serves(net: Localnet, service: ServiceProcess) -> bool:
    return is_serving(service.target, caller=net.custody.certificate, name=service.certificate.name)


def copy_online(database: Path, copy: Path) -> None:
    """As `sqlite3 DATABASE ".backup COPY"`."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as source, sqlite3.connect(copy) as target:
        source.backup(target)


def put_back(copy: Path, database: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, database)


def publish(bailee: Command) -> None:
    for feed in FEEDS:
        bailee(feed, "price", "publish", "--btc", "780000", "--eth", "27000")


def test_certificates_and_authority_are_exchanged_one_by_one(world: World, tmp_path: Path) -> None:
    net, bailee = world.net, world.bailee
    services = (*net.signers.values(), net.custody)

    # A leaf of the same name: nobody else changes anything.
    old = net.people[ENGINE].certificate.certificate_file.read_bytes()
    reissue(net.certificates, net.signers[1].certificate.name, server=True)
    reissue(net.certificates, ENGINE)
    net.signers[1].restart()
    assert net.people[ENGINE].certificate.certificate_file.read_bytes() != old
    assert eventually(lambda: all(serves(net, each) for each in services))
    bailee(ENGINE, "report", "show", ACCOUNT)

    # A second authority behind the first: both are believed.
    for name in ("public", "private"):
        (tmp_path / name).mkdir()
    other = CertificateAuthority(folder=tmp_path / "public", private_folder=tmp_path / "private")
    bundle = net.certificates.authority_file
    bundle.write_bytes(bundle.read_bytes() + other.authority_file.read_bytes())
    for each in services:
        each.stop()
    for each in services:
        each.launch()
    assert eventually(lambda: all(serves(net, each) for each in services))
    new = other.issue(ENGINE)
    files = ("--certificate", new.certificate_file, "--private-key", new.key_file)
    bailee(ENGINE, "report", "show", ACCOUNT, *files)
    bailee(ENGINE, "report", "show", ACCOUNT)


def reissue(authority: CertificateAuthority, name: str, *, server: bool = False) -> None:
    del authority._issued[name]
    authority.issue(name, server=server)


def test_an_older_journal_is_refused_until_the_newest_is_back(world: World, tmp_path: Path) -> None:
    net = world.net
    signer = net.signers[2]
    journal = net.state.path / "signer-2" / "journal.db"
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    signer.stop()
    shutil.copy(journal, old)
    signer.start()
    assert eventually(lambda: serves(net, signer))
    announce_a_withdrawal(world)
    signer.stop()
    shutil.copy(journal, new)

    put_back(old, journal)
    signer.launch()
    log = net.state.logs / "signer-2.log"
    assert eventually(lambda: "journal is behind, everything is refused" in log.read_text())
    assert not serves(net, signer)

    signer.stop()
    put_back(new, journal)
    signer.start()
    assert eventually(lambda: serves(net, signer))


def announce_a_withdrawal(world: World) -> None:
    """What the peers then have seen of each other's journals."""
    net, bailee = world.net, world.bailee
    where, what = (ACCOUNT, "client-cold-btc"), (ACCOUNT, "one")
    digest = bailee(PLEDGOR, "destination", "show", *where)["entry"]["digest"]
    for who in APPROVERS:
        bailee(who, "destination", "approve", *where, "--digest", digest)
    bailee.until(
        PLEDGOR,
        *("destination", "show", *where),
        holds=lambda found: found["destination"]["state"] == "STATE_USABLE",
    )
    terms = ("--destination", "client-cold-btc", "--amount", "0.1BTC", "--fee-cap", "20000sat")
    bailee(PLEDGOR, "withdrawal", "request", *what, *terms)
    intent = bailee(PLEDGOR, "withdrawal", "sign", *what, *terms)["intent_digest"]
    bailee(ENGINE, "withdrawal", "release", *what, "--digest", intent)
    for who in APPROVERS:
        bailee(who, "withdrawal", "approve", *what, "--digest", intent)
    show = ("withdrawal", "show", *what)
    bailee.until(PLEDGOR, *show, holds=lambda found: found["withdrawal"]["state"] == "STATE_TIMELOCKED")
    net.bitcoind.mine()
    bailee.until(PLEDGOR, *show, holds=lambda found: found["withdrawal"]["state"] == "STATE_BROADCAST")


def test_the_latest_copy_goes_on_and_an_older_one_is_noticed(world: World, tmp_path: Path) -> None:
    net, bailee = world.net, world.bailee
    database = net.state.path / "custody" / "custody.sqlite"
    old, latest = tmp_path / "old.sqlite", tmp_path / "latest.sqlite"
    copy_online(database, old)
    publish(bailee)
    sequence = bailee(ENGINE, "lien", "reserve", ACCOUNT, "order", "0.1BTC")["account_sequence"]
    bailee(ENGINE, "report", "show", ACCOUNT, "--min-sequence", sequence)
    copy_online(database, latest)

    net.custody.stop()
    put_back(latest, database)
    net.custody.start()
    assert bailee(ENGINE, "lien", "show", ACCOUNT, "order")["state"] == "STATE_RESERVED"
    bailee(ENGINE, "report", "show", ACCOUNT)

    net.custody.stop()
    put_back(old, database)
    net.custody.start()
    # Deposits come from the chain again; what people signed does not, and the secured party knows it.
    deposits = bailee(AUDITOR, "deposit", "list", ACCOUNT)["deposits"]
    assert {each["state"] for each in deposits} == {"STATE_CREDITED"}
    assert bailee(ENGINE, "lien", "list", ACCOUNT)["liens"] == []
    publish(bailee)
    refused = bailee.run(ENGINE, "lien", "reserve", ACCOUNT, "another", "0.1BTC").error
    assert (refused["reason"], "went back" in refused["message"]) == ("VERIFICATION_FAILED", True)
