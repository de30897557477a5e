"""Compare the ledger with the chains, address by address; an account that differs is halted.

An account whose halt was lifted is compared at once, and opens only when it differs on neither chain.

The ledger follows the chains block by block; this asks the other way round, from what the nodes say stands
at each address. BTC: the set of unspent outputs, all of them, at the block that the ledger is at. ETH: the
proven balance at the finalised block that the ledger is at.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from custody.application import accounts, reconciliation
from custody.application.ports.chains import BitcoinChain, ChainDataInvalid, EthereumChain, UnspentOutput
from custody.application.ports.store import Store
from custody.application.reconciliation import Expected, Ledger
from custody.domain.account import Halt
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import AccountId, ScriptPubKey, Seconds

INTERVAL_SECONDS: Final = 3600
SCRIPTS_PER_SCAN: Final = 10_000

_log = structlog.get_logger(__name__)


class Reconciler:
    """Halts every account whose ledger and chain differ.

    Args:
        store: the ledger.
        bitcoin: for the unspent outputs.
        ethereum: for the balances.
        clock: the time.
        interval_seconds: how often everything is compared.
    """

    name = "reconciler"

    def __init__(
        self,
        *,
        store: Store,
        bitcoin: BitcoinChain,
        ethereum: EthereumChain,
        clock: Clock,
        interval_seconds: int = INTERVAL_SECONDS,
    ) -> None:
        self._store = store
        self._bitcoin = bitcoin
        self._ethereum = ethereum
        self._clock = clock
        self._interval_seconds = interval_seconds
        # Ethereum first: it costs little, and a Bitcoin node that cannot scan must not stop it.
        self._compared = {Asset.ETH: self._ethereum_differences, Asset.BTC: self._bitcoin_differences}
        self._done_at: dict[Asset, Seconds] = {}
        self._equal: dict[Asset, set[AccountId]] = {asset: set() for asset in self._compared}
        """Accounts that await it and did not differ, by chain."""

    async def tick(self) -> bool:
        """Compare each chain once per interval, and for who awaits it. A block in between is no finding.

        Raises:
            ChainError: the nodes gave no usable answer.
        """
        now, awaiting = self._clock(), self._awaiting()
        found = False
        for asset, differences in self._compared.items():
            self._equal[asset] &= awaiting
            done = self._done_at.get(asset)
            recent = done is not None and now - done < self._interval_seconds
            if recent and awaiting <= self._equal[asset]:
                continue
            ledger = await self._store.read(reconciliation.ledger)
            differing = await differences(ledger)
            for account in sorted(differing):
                await self._conclude(account, agree=False)
            self._done_at[asset] = now
            self._equal[asset] = {each.account for each in ledger.expected if each.awaits} - differing
            found |= bool(differing)
        opening = set.intersection(*self._equal.values())
        for account in sorted(opening):
            await self._conclude(account, agree=True)
            for equal in self._equal.values():
                equal.discard(account)
        return found

    def _awaiting(self) -> set[AccountId]:
        known = self._store.projection.accounts()
        return {each.account for each in known if Halt.AWAITING_RECONCILIATION in each.halts}

    async def _conclude(self, account: AccountId, *, agree: bool) -> None:
        await self._store.execute(
            lambda uow: accounts.reconciled(uow, account, agree=agree, now=self._clock())
        )

    async def _bitcoin_differences(self, ledger: Ledger) -> set[AccountId]:
        differing = set()
        for start in range(0, len(ledger.expected), SCRIPTS_PER_SCAN):
            part = ledger.expected[start : start + SCRIPTS_PER_SCAN]
            found = await self._bitcoin.unspent([each.script for each in part])
            if found.block != ledger.bitcoin_tip:
                raise ChainDataInvalid(f"scanned at {found.block}, the ledger is at {ledger.bitcoin_tip}")
            by_script: dict[ScriptPubKey, list[UnspentOutput]] = {}
            for output in found.outputs:
                by_script.setdefault(output.script, []).append(output)
            differing |= {
                each.account for each in part if not _same_coins(each, by_script.get(each.script, []))
            }
        return differing

    async def _ethereum_differences(self, ledger: Ledger) -> set[AccountId]:
        if ledger.finalised is None:
            return set()
        header = await self._ethereum.block_at(ledger.finalised.height)
        if header.ref != ledger.finalised:
            raise ChainDataInvalid(f"{ledger.finalised} is not on the chain any more")
        differing = set()
        for each in ledger.expected:
            if each.proven is None:
                continue
            state = await self._ethereum.account_at(each.address, header)
            refused = each.proven.block != ledger.finalised
            if refused or not state.balance == each.proven.balance == Wei(max(0, each.ethereum_units)):
                _log.error(
                    "balance differs",
                    account=each.account,
                    height=ledger.finalised.height,
                    on_chain=str(state.balance),
                    proven=str(each.proven.balance),
                    proven_height=each.proven.block.height,
                    by_the_books=f"{each.ethereum_units} wei",
                )
                differing.add(each.account)
        return differing


def _same_coins(expected: Expected, found: Sequence[UnspentOutput]) -> bool:
    ours = {(coin.outpoint, coin.amount) for coin in expected.coins}
    theirs = {(output.outpoint, output.amount) for output in found}
    total = sum(output.amount.units for output in found)
    if ours == theirs and total == expected.bitcoin_units:
        return True
    _log.error(
        "coins differ",
        account=expected.account,
        on_chain=f"{total} sat",
        by_the_books=f"{expected.bitcoin_units} sat",
        outputs=len(found),
        outputs_that_differ=len(ours ^ theirs),
    )
    return False
