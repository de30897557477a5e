"""A withdrawal of half a coin at each stage of its way, before anything has left."""

from custody.domain.deposit import Outpoint
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Sats
from tests.unit.custody.scenario import Custody, txid

COIN = 10**8
FUNDING = Outpoint(txid("funding"), 0)


def requested(custody: Custody) -> Withdrawal:
    return custody.request(Sats(COIN // 2), Sats(50_000))


def announcing(custody: Custody) -> Withdrawal:
    return custody.agree(custody.plan(requested(custody), FUNDING))


def timelocked(custody: Custody) -> Withdrawal:
    return custody.announce(announcing(custody))


def signing(custody: Custody) -> Withdrawal:
    return custody.attempt(timelocked(custody), Sats(10_000))


def signed(custody: Custody) -> Withdrawal:
    return custody.finish(signing(custody))
