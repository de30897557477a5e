"""Sixty-four active accounts in one database, and the reservations that their secured party has signed."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Final

from custody.application import reports
from custody.application.journal import change
from custody.application.liens import ReserveLien
from custody.application.ports.store import UnitOfWork
from custody.domain.account import PledgeAccount
from custody.domain.deposit import BitcoinMovement, BitcoinOutput
from custody.domain.ledger import Cause, CauseKind
from custody.domain.principal import Principal, Role
from signers.statements.amounts import Sats
from signers.statements.encumbrance import Encumbrance
from signers.statements.identifiers import AccountId, EntityId, EthereumAddress, LienId, ScriptPubKey, Seconds
from tests.factories import BTC
from tests.unit.custody.scenario import Custody, active, request_id, txid

COUNT: Final = 64
"""As many as calls are in flight: an account's encumbrances are a chain, so its calls go one by one."""

ENGINE: Final = Principal(
    name="margin-engine.broker-one", entity=EntityId("broker-one"), roles=frozenset({Role.SECURED_PARTY})
)


class Book:
    """Active accounts with a bitcoin each, priced and reported on."""

    def __init__(self) -> None:
        self.custody: Custody = active()
        self.accounts = [AccountId(f"account-{number:02}") for number in range(COUNT)]
        for number in range(COUNT):
            self._open(number)
        self._fund()
        self._report()

    def _open(self, number: int) -> None:
        """By the port: keys, signatures and proofs of so many accounts are not what is measured."""
        account = replace(
            self.custody.account,
            account=self.accounts[number],
            sequence=0,
            script_pubkey=ScriptPubKey(f"0020{number:064x}"),
            ethereum_address=EthereumAddress(f"{number:040x}"),
        )

        def add(uow: UnitOfWork) -> PledgeAccount:
            uow.add_account(account)
            return change(uow, account, Cause(CauseKind.ACCOUNT), now=self.custody.now)

        self.custody.run(add)

    def _fund(self) -> None:
        outputs = [
            BitcoinOutput(index=index, account=account, amount=Sats(BTC))
            for index, account in enumerate(self.accounts)
        ]
        self.custody.mine(BitcoinMovement(txid=txid("funding of all"), outputs=tuple(outputs)), count=6)

    def _report(self) -> None:
        custody = self.custody
        found = custody.ask(reports.collect, now=custody.now)
        batch, leaves = reports.next_batch(found, None, policy=custody.world.policy, now=custody.now)
        signed = custody.world.sign(batch, custody.world.attestation)
        custody.do(reports.record_batch, reports.RecordBatch(envelope=signed, reports=leaves))

    def write(self, file: Path) -> None:
        """The database, as a file."""
        with sqlite3.connect(file) as copy:
            self.custody.connection.backup(copy)
        copy.close()

    def reservations(self, account: AccountId, count: int) -> list[ReserveLien]:
        """The first reservations of an account, one satoshi each, signed."""
        world = self.custody.world
        commands: list[ReserveLien] = []
        last: Encumbrance | None = None
        for number in range(count):
            lien = LienId(f"lien-{number}")
            last = world.encumbrance(
                last, account=account, lien=lien, amount=Sats(1), expires_at=Seconds(self.custody.now + 3600)
            )
            commands.append(
                ReserveLien(
                    request_id=request_id(f"{account} {lien}"),
                    account=account,
                    lien=lien,
                    envelope=world.sign(last, world.secured_party),
                )
            )
        return commands
