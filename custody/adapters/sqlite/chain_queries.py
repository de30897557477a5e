"""What the chains showed: deposits, coins, and the recorded blocks."""

# ruff: noqa: D102 - the methods are documented by the port
# ruff: noqa: S608 - only names of columns and marks of this package are put together

from collections.abc import Sequence

from custody.adapters.sqlite import rows
from custody.adapters.sqlite.queries import FIRST, Queries
from custody.application.ports.store import ROWS_MAX
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, Deposit, FinalisedBalance, Outpoint
from custody.domain.identifiers import DepositId
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import AccountId, BlockHash


class ChainQueries(Queries):
    """The part of `Snapshot` that is about chains."""

    def deposit(self, account: AccountId, deposit: DepositId) -> Deposit | None:
        row = self._one(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits WHERE account = ? AND deposit = ?",
            account,
            deposit,
        )
        return None if row is None else rows.deposit(row)

    def deposits(self, account: AccountId, *, after: DepositId | None, limit: int) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits WHERE account = ? AND deposit > ?"
            " ORDER BY deposit LIMIT ?",
            account,
            after or FIRST,
            min(limit, ROWS_MAX),
        )
        return [rows.deposit(row) for row in found]

    def pending_deposits(
        self, asset: Asset, *, up_to: int, account: AccountId | None = None
    ) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits"
            " WHERE state = 'pending' AND asset = ? AND height <= ? AND (? IS NULL OR account = ?)"
            " ORDER BY height, deposit",
            asset,
            up_to,
            account,
            account,
        )
        return [rows.deposit(row) for row in found]

    def deposits_above(self, asset: Asset, height: int) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits"
            " WHERE state <> 'reversed' AND asset = ? AND height > ? ORDER BY height DESC, deposit",
            asset,
            height,
        )
        return [rows.deposit(row) for row in found]

    def coin(self, outpoint: Outpoint) -> Coin | None:
        row = self._one(
            f"SELECT {rows.COIN_COLUMNS} FROM coins WHERE txid = ? AND output_index = ?",
            outpoint.txid,
            outpoint.index,
        )
        return None if row is None else rows.coin(row)

    def coins(self, account: AccountId) -> Sequence[Coin]:
        found = self._all(
            f"SELECT {rows.COIN_COLUMNS} FROM coins"
            " WHERE account = ? AND height IS NOT NULL AND spent_height IS NULL"
            " ORDER BY txid, output_index",
            account,
        )
        return [rows.coin(row) for row in found]

    def coins_above(self, height: int) -> Sequence[Coin]:
        columns = rows.COIN_COLUMNS
        found = self._all(
            f"SELECT {columns} FROM coins WHERE height > ?"
            f" UNION SELECT {columns} FROM coins WHERE spent_height > ?",
            height,
            height,
        )
        return [rows.coin(row) for row in found]

    def blocks(self, asset: Asset) -> Sequence[BlockRef]:
        found = self._all("SELECT height, block_hash FROM blocks WHERE asset = ? ORDER BY height", asset)
        return [BlockRef(height, BlockHash(block_hash)) for height, block_hash in found]

    def tip(self, asset: Asset) -> BlockRef | None:
        row = self._one(
            "SELECT height, block_hash FROM blocks WHERE asset = ? ORDER BY height DESC LIMIT 1", asset
        )
        return None if row is None else rows.block(*row)

    def finalised(self) -> BlockRef | None:
        row = self._one("SELECT height, block_hash FROM finality")
        return None if row is None else rows.block(*row)

    def finalised_balance(self, account: AccountId) -> FinalisedBalance | None:
        row = self._one(
            "SELECT height, block_hash, balance, nonce FROM finalised_balances WHERE account = ?", account
        )
        if row is None:
            return None
        height, block_hash, balance, nonce = row
        return FinalisedBalance(
            account=account,
            block=BlockRef(height, BlockHash(block_hash)),
            balance=Wei(int(balance)),
            nonce=nonce,
        )
