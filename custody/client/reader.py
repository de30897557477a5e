"""What every kind of client reads: each verified where there is something to verify."""

import time
from collections.abc import AsyncIterator, Callable, Collection

from bailee.custody.v1 import (
    collateral_report_pb2,
    collateral_service_pb2,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    withdrawal_pb2,
)

from custody.client.connection import Connection
from custody.client.encumbrance_chain import CHAIN_RACES_MAX, START, EncumbranceChain, Head
from custody.client.errors import VerificationError
from custody.client.events import CollateralEvent, read_event
from custody.client.names import account_name, report_name
from custody.client.releases import deducted
from custody.client.resources import Resources
from custody.client.signing_record import BatchMark, SigningRecord
from custody.client.trust import CLOCK_TOLERANCE_SECONDS, TrustRoot, VerifiedReport
from custody.client.valuation import cited_prices, is_recent, lending_values, verify_price
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, Ed25519Key, Seconds, Value
from signers.statements.intent import Intent
from signers.statements.price import Price
from signers.statements.receipt import Receipt
from signers.statements.refusals import Refusal
from signers.statements.report import Report


class Reader(Resources):
    """What the caller's certificate lets it see, and what can be verified of it.

    Args:
        connection: to the service.
        trust: the policy that everything is verified from.
        record: what was signed and seen; of this process only where absent.
        clock: Unix time.
    """

    def __init__(
        self,
        connection: Connection,
        trust: TrustRoot,
        *,
        record: SigningRecord | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connection)
        self.trust = trust
        self.record = record or SigningRecord(None, root=trust.policy_digest)
        self._clock = clock

    def now(self) -> Seconds:
        """This machine's time, never the service's."""
        return Seconds(int(self._clock()))

    async def verified_account(self, account: str) -> Account:
        """The account statement, as `account_statement` without its envelope."""
        statement, _ = await self.account_statement(account)
        return statement

    async def account_statement(self, account: str) -> tuple[Account, Envelope]:
        """The account statement, signatures and addresses verified; the one that was signed here, if one was.

        Whose keys stand in it is for the caller to compare: with its own, or with the parties' agreement.

        Raises:
            VerificationError: do not send coins there.
        """
        resource = await self.account(account)
        statement = self.trust.verify_account(resource, account=account)
        signed = self.record.signed_about(account_name(account))
        if signed - {statement.digest}:
            raise VerificationError(
                f"the statement is {statement.digest}, where {', '.join(signed)} was signed"
            )
        return statement, Envelope.from_json(resource.envelope)

    async def report(self, account: str, *, min_account_sequence: int = 0) -> Report:
        """The latest report, verified up to custody's signature, its arithmetic repeated.

        Args:
            account: its id.
            min_account_sequence: wait until the report covers this sequence, to read one's own write.

        Raises:
            VerificationError: it does not verify, is older than one that was seen or than
                `REPORT_AGE_MAX_SECONDS`, comes from the future, or does not continue the batches seen.
            BaileeError: `SEQUENCE_NOT_REACHED` within the deadline.
        """
        before = self.record.batch(account)
        request = collateral_service_pb2.GetCollateralReportRequest(
            name=report_name(account), min_account_sequence=min_account_sequence
        )
        resource: collateral_report_pb2.CollateralReport = await self._get(
            self._reads.GetCollateralReport, request
        )
        verified = self.trust.verify_report(resource, account=account)
        if verified.report.account_sequence < min_account_sequence:
            raise VerificationError(f"the report does not cover sequence {min_account_sequence}")
        self._see(verified, before)
        await self._accept(verified.report)
        return verified.report

    async def watch(self, *accounts: str, deadline_seconds: float = 3600.0) -> AsyncIterator[CollateralEvent]:
        """A snapshot, then changes, and heartbeats while nothing happens. Every report in it is verified.

        Args:
            accounts: their ids; all in scope where none is given.
            deadline_seconds: how long.

        Raises:
            VerificationError: an event does not verify or was not asked for.
            BaileeError: the stream ended early.
        """
        request = collateral_service_pb2.WatchCollateralRequest(accounts=[account_name(a) for a in accounts])
        stream = self.connection.stream(
            self._reads.WatchCollateral, request, deadline_seconds=deadline_seconds
        )
        # Compared with what was known before it began: other reads may get ahead of a stream.
        marks, sequences = self.record.batches(), dict[str, int]()
        async for message in stream:
            event, verified = read_event(message, self.trust)
            if accounts and event.account and event.account not in accounts:
                raise VerificationError(f"an event of {event.account}, which was not asked for")
            if event.account_sequence < sequences.get(event.account, 0):
                raise VerificationError(
                    f"event {event.account_sequence} of {event.account}: the stream went back"
                )
            sequences[event.account] = event.account_sequence
            if verified is not None:
                marks[event.account] = self._see(verified, marks.get(event.account))
                await self._accept(verified.report)
            yield event

    async def intent(self, account: str, withdrawal: str) -> Intent:
        """The intent of a withdrawal, decoded here, its destination as the pledgor signed it.

        Raises:
            VerificationError: it does not say what it must; do not sign it.
        """
        return await self.intent_of(await self.withdrawal(account, withdrawal), account=account)

    async def intent_of(self, resource: withdrawal_pb2.Withdrawal, *, account: str) -> Intent:
        """As `intent`, of a withdrawal of this account that was read already."""
        intent = self.trust.verify_withdrawal(resource, account=account)
        if intent is None:
            raise VerificationError("there is no intent to sign yet")
        statement = await self.verified_account(account)
        if intent.maker not in {party.entity for party in statement.parties}:
            raise VerificationError(f"{intent.maker} is no party of {account}")
        listed = await self.destination(account, intent.destination_id)
        entry, _ = self.trust.verify_destination(listed, statement, destination_id=intent.destination_id)
        if entry.destination != intent.destination:
            raise VerificationError(
                "the intent pays to another destination than the allowlist entry it names"
            )
        return intent

    async def _agreed(
        self, account: str, withdrawal: str, *, intent_digest: Digest
    ) -> tuple[withdrawal_pb2.Withdrawal, Intent]:
        """A withdrawal as it is now, and its intent: the one that was looked at.

        Both come of one answer: a consent that carries this resource's etag is taken for what was verified
        here, or not at all.

        Raises:
            VerificationError: it has another intent by now, or one that does not verify.
        """
        resource = await self.withdrawal(account, withdrawal)
        intent = await self.intent_of(resource, account=account)
        if intent.digest != intent_digest:
            raise VerificationError(f"the intent is now {intent.digest}, not {intent_digest}")
        return resource, intent

    async def allowlist_entry(self, account: str, destination_id: str) -> tuple[AllowlistEntry, Envelope]:
        """The entry, decoded here, and its envelope with the pledgor's signature checked.

        Raises:
            VerificationError: the pledgor of the account has not signed it.
        """
        statement = await self.verified_account(account)
        resource = await self.destination(account, destination_id)
        return self.trust.verify_destination(resource, statement, destination_id=destination_id)

    async def receipts(self, account: str, withdrawal: str) -> list[Receipt]:
        """What the signers said of a withdrawal's intent, refusals included, each by its signer's key.

        Raises:
            VerificationError: one of them is not the signer's word on this intent.
        """
        resource = await self.withdrawal(account, withdrawal)
        intent = self.trust.verify_withdrawal(resource, account=account)
        return [] if intent is None else self._receipts(resource, intent)

    async def verified_prices(self) -> list[Price]:
        """The latest price of every publisher and asset, each by a publisher's key.

        Raises:
            VerificationError: one of them is not.
        """
        return [self._price(resource.envelope) for resource in await self.prices()]

    def evidence(self, report: Report, prices: Collection[Price]) -> dict[Asset, tuple[Price, ...]]:
        """The signed prices behind a report, its valuation repeated from them.

        Args:
            report: verified.
            prices: as `verified_prices` returned them, after the report was read.

        Returns:
            By asset; empty where the report cites other prices than these: then its price is not verified.

        Raises:
            VerificationError: another price or status follows from the prices that it cites.
        """
        return {
            position.asset: cited_prices(position, report, self.trust.policy, prices=prices)
            for position in report.positions
        }

    def lending_values(self, report: Report, prices: Collection[Price]) -> dict[Asset, Value]:
        """What each asset of a report can be lent against now, by this machine's clock.

        The prices are the publishers', never the report's; every release that this record holds counts as
        gone until it has ended. The quantities are custody's word.

        Args:
            report: verified.
            prices: as `verified_prices` returned them.

        Returns:
            1e-8 of the policy's currency, by asset.
        """
        released = deducted(self.record.outstanding(report.account))
        return lending_values(report, self.trust.policy, prices=prices, released=released, now=self.now())

    def lending_value(self, report: Report, prices: Collection[Price]) -> Value:
        """The sum of `lending_values`."""
        return Value(str(sum(value.units for value in self.lending_values(report, prices).values())))

    def _receipts(self, resource: withdrawal_pb2.Withdrawal, intent: Intent) -> list[Receipt]:
        shown = [*resource.receipts, *resource.refusals]
        return [self.trust.verify_receipt(each.envelope, intent) for each in shown]

    def _price(self, envelope: bytes) -> Price:
        try:
            signed = Envelope.from_json(envelope)
        except Refusal as error:
            raise VerificationError(f"price: {error}") from error
        return verify_price(signed, self.trust.policy, network=self.trust.network)

    async def _accept(self, report: Report) -> None:
        """Compare a verified report with what else is known of the account here.

        Raises:
            VerificationError: the two contradict.
        """
        chain = self._chain(report.account)
        if chain is None:
            return
        if chain.is_behind(report):
            await self._follow(chain)
        chain.check(report)

    def _chain(self, account: str) -> EncumbranceChain | None:
        """The encumbrances of an account, where any was signed on this machine."""
        key = self.record.encumbering_key(account)
        return None if key is None else self._chain_of(account, key)

    def _chain_of(self, account: str, key: Ed25519Key) -> EncumbranceChain:
        return EncumbranceChain(
            network=self.trust.network, account=AccountId(account), key=key, record=self.record
        )

    async def _follow(self, chain: EncumbranceChain) -> Head:
        """Ask where the chain stands, and go there if this party signed it.

        Raises:
            VerificationError: as `EncumbranceChain.follow`, or it never stands still.
        """
        for _ in range(CHAIN_RACES_MAX):
            before = chain.known() or START
            told = chain.told(await self.account(chain.account))
            liens = await self.liens(chain.account) if told.sequence else []
            # Another process of this party may go on meanwhile; liens of a later moment look like a lie.
            if not liens or chain.told(await self.account(chain.account)) == told:
                return chain.follow(told, liens, before=before)
        raise chain.moved()

    def _see(self, verified: VerifiedReport, before: BatchMark | None) -> BatchMark:
        """Compare a report with the newest one seen before it was asked for, and remember it.

        Raises:
            VerificationError: one from the future, one too old, one older than what was seen, or one of a
                batch that contradicts another one.
        """
        report, batch = verified.report, verified.batch
        if batch.at > self._clock() + CLOCK_TOLERANCE_SECONDS:
            raise VerificationError(f"a report of {batch.at}, which is still to come")
        if not is_recent(report, now=self.now()):
            raise VerificationError(f"the report is {self.now() - report.at} s old by this clock")
        mark = BatchMark(
            sequence=batch.sequence,
            digest=verified.batch_digest,
            account_sequence=report.account_sequence,
        )
        if before is not None and (
            mark.sequence < before.sequence or mark.account_sequence < before.account_sequence
        ):
            raise VerificationError(f"batch {mark.sequence} after {before.sequence}: reports went back")
        self.record.see_batch(report.account, mark, previous=batch.previous)
        return mark


async def read_policy(connection: Connection, name: str = "current") -> policy_pb2.Policy:
    """The policy envelope that custody carries, to be verified by `TrustRoot.load`."""
    stub = policy_service_pb2_grpc.PolicyServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
    request = policy_service_pb2.GetPolicyRequest(name=f"policies/{name}")
    policy: policy_pb2.Policy = await connection.call(stub.GetPolicy, request)
    return policy
