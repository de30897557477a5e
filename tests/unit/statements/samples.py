"""One statement of each type, in full."""

from signers.statements.amounts import Asset
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from signers.statements.report import ReportBatch
from signers.statements.statement import Statement
from tests.factories import World


def samples(world: World) -> list[Statement]:
    """What the world says, once of each type."""
    intent, signer, report = world.intent(Asset.BTC), world.signers[0], world.report()
    return [
        world.account,
        world.account_key(signer, Asset.BTC),
        world.allowlist_entry(Asset.ETH),
        world.encumbrance(),
        intent,
        world.journal_head(*world.signers[:2]),
        world.policy,
        world.price(world.publishers[0], Asset.ETH),
        world.receipt(signer, intent, Act.REFUSED, tags=(Tag.VELOCITY,)),
        world.release(intent),
        report,
        ReportBatch.read(world.report_batch(report), network=world.network),
    ]
