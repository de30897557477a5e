"""What the tests of the secured party share."""

from signers.statements.amounts import Sats
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope
from tests.factories import BTC
from tests.unit.custody.client.fake_service import FakeCustody

TENTH = Sats(BTC // 10)


def statements(custody: FakeCustody) -> list[Encumbrance]:
    """Everything this party signed and sent, in order."""
    methods = ("ReserveLien", "PostLien", "VoidLien")
    sent = [request for method, request in custody.calls if method in methods]
    return [Encumbrance.parse(Envelope.from_json(request.envelope).payload) for request in sent]


def require_no_fork(custody: FakeCustody) -> None:
    """No place of the chain has two different statements among those that left."""
    places: dict[int, set[str]] = {}
    for statement in statements(custody):
        places.setdefault(statement.sequence, set()).add(statement.digest)
    assert all(len(digests) == 1 for digests in places.values()), places
