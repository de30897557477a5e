from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from custody.client import (
    Agreement,
    Approver,
    Connection,
    Custodian,
    MarginEngine,
    Pledgor,
    Reader,
    SigningRecord,
    TrustRoot,
)
from deploy.localnet.certificates import CertificateAuthority
from tests.factories import World, build_world
from tests.unit.custody.client.fake_service import FakeCustody, credentials_of, new_authority, serve


@pytest.fixture(scope="session")
def world() -> World:
    return build_world()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def custody(world: World) -> FakeCustody:
    return FakeCustody(world)


@pytest.fixture
def target(custody: FakeCustody, authority: CertificateAuthority) -> Iterator[str]:
    with serve(custody, authority) as address:
        yield address


@pytest.fixture
def trust(world: World) -> TrustRoot:
    return TrustRoot.load(
        world.policy_envelope.to_json(), network=world.network, policy_digest=world.policy.digest
    )


@pytest.fixture
def agreement(world: World) -> Agreement:
    account = world.account
    return Agreement(
        pledgor=account.pledgor,
        secured_party=account.secured_party,
        custodian=account.custodian,
        enforcement=account.enforcement,
    )


@pytest.fixture
async def connection(target: str, authority: CertificateAuthority) -> AsyncIterator[Connection]:
    async with Connection(target, credentials_of(authority, "client.test")) as opened:
        yield opened


@pytest.fixture
def record(trust: TrustRoot) -> Iterator[SigningRecord]:
    with SigningRecord(None, root=trust.policy_digest) as made:
        yield made


@pytest.fixture
def clock(world: World) -> Callable[[], float]:
    return lambda: float(world.now)


@pytest.fixture
def reader(
    connection: Connection, trust: TrustRoot, record: SigningRecord, clock: Callable[[], float]
) -> Reader:
    return Reader(connection, trust, record=record, clock=clock)


@pytest.fixture
def pledgor(
    connection: Connection,
    trust: TrustRoot,
    record: SigningRecord,
    clock: Callable[[], float],
    world: World,
) -> Pledgor:
    who = world.pledgor
    return Pledgor(connection, trust, entity=who.entity, key=who.key, record=record, clock=clock)


@pytest.fixture
def engine(
    connection: Connection,
    trust: TrustRoot,
    record: SigningRecord,
    clock: Callable[[], float],
    world: World,
) -> MarginEngine:
    who = world.secured_party
    return MarginEngine(connection, trust, entity=who.entity, key=who.key, record=record, clock=clock)


@pytest.fixture
def custodian(
    connection: Connection,
    trust: TrustRoot,
    record: SigningRecord,
    clock: Callable[[], float],
    world: World,
) -> Custodian:
    who = world.custodian
    return Custodian(connection, trust, entity=who.entity, key=who.key, record=record, clock=clock)


@pytest.fixture
def approver(
    connection: Connection,
    trust: TrustRoot,
    record: SigningRecord,
    clock: Callable[[], float],
    world: World,
) -> Approver:
    return Approver(connection, trust, key=world.approvers[1].key, record=record, clock=clock)


@pytest.fixture
def account(world: World) -> str:
    return world.account.account


@pytest.fixture
def another(
    connection: Connection, trust: TrustRoot, world: World, clock: Callable[[], float]
) -> Callable[[SigningRecord | None], MarginEngine]:
    """Another process of the same secured party, with a record of its own or a shared one."""

    def make(record: SigningRecord | None) -> MarginEngine:
        who = world.secured_party
        return MarginEngine(connection, trust, entity=who.entity, key=who.key, record=record, clock=clock)

    return make
