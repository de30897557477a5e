"""Three real rule engines over one world, with fake nodes, keys and wires: the valid baseline of the tests.

    stage = await Stage.set_up(tmp_path)
    request = stage.announcement(stage.intent(Asset.BTC))
    receipts = await stage.announce_everywhere(request)
    stage.pass_timelock(Asset.BTC)
    signed = await sign(stage[0], stage.signing(request))

`custody` of these tests is the test itself.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from signers.bitcoin.coins import Coin
from signers.journal import AllowlistEntrySeen, Journal
from signers.keys.single_holder import SingleHolder
from signers.rules.announce import Announcement, announce
from signers.rules.bitcoin_chain import BitcoinChain
from signers.rules.ethereum_chain import EthereumChain
from signers.rules.onboarding import HeldElsewhere, cosign_account, create_account_key
from signers.rules.policy import pin
from signers.rules.reconciliation import Reconciliation
from signers.rules.sign import SigningRequest
from signers.rules.signer import Clockwork, Signer
from signers.statements.amounts import Asset, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Seconds
from signers.statements.intent import Intent, OutpointAnchor
from tests.factories import BTC, DAY, ETH, World, build_world
from tests.signers.fakes import (
    FakeBitcoinNode,
    FakeEthereumNode,
    FakePeers,
    WorldKeys,
    WorldStatementSigner,
    anchor_of,
    real_proof,
)

FEES = {Asset.BTC: 2_000, Asset.ETH: 21_000 * 10**9}


@dataclass
class Stage:
    """The world, its chains, and three signers that have co-signed the account."""

    world: World
    folder: Path
    clock: list[Seconds]
    bitcoin: FakeBitcoinNode
    ethereum: FakeEthereumNode
    wires: FakePeers
    coins: list[Coin]
    keys: list[WorldKeys]
    signers: list[Signer] = field(default_factory=list)

    def __getitem__(self, index: int) -> Signer:
        return self.signers[index]

    @classmethod
    async def set_up(cls, folder: Path, *, world: World | None = None, onboarded: bool = True) -> "Stage":
        """Signers that have cooled the allowlist entries and are ready to announce."""
        world = world or build_world(prove=real_proof)
        clock = [Seconds(world.now - 3 * DAY)]
        stage = cls(
            world=world,
            folder=folder,
            clock=clock,
            bitcoin=FakeBitcoinNode(now=lambda: clock[0]),
            ethereum=FakeEthereumNode(
                now=lambda: clock[0],
                chain=world.network.chain_id,
                expected_chain=world.network.chain_id,
                balances={world.account.ethereum.address: Wei(ETH)},
            ),
            wires=FakePeers(),
            coins=[],
            keys=[WorldKeys({"BTC": each.bitcoin_key, "ETH": each.ethereum_key}) for each in world.signers],
        )
        stage.bitcoin.mine(count=12)
        stage.ethereum.mine(count=12)
        script = world.account.bitcoin.script_pubkey.raw
        stage.coins = [stage.bitcoin.fund(script, BTC, seed=seed) for seed in (1, 2, 3)]
        for index in range(3):
            stage.start(index)
        await stage.reconcile()
        if onboarded:
            await stage.onboard()
            await stage.show_allowlist()
        stage.advance(world.now - clock[0])
        return stage

    # Signers.

    def path(self, index: int) -> Path:
        return self.folder / f"journal-{index + 1}.db"

    def start(self, index: int) -> Signer:
        """A signer process: it opens its journal and has asked nobody yet."""
        world, party = self.world, self.world.signers[index]
        journal = Journal.open(self.path(index))
        participants = tuple(each.signer for each in world.signers)
        joint = SingleHolder(own_id=party.signer, holder_id=participants[0], keys=self.keys[index])
        peer_keys = {each.signer: each.public_key for each in world.signers if each.signer != party.signer}
        signer = Signer(
            id=party.signer,
            network=world.network,
            policy=world.policy,
            policy_envelope=world.policy_envelope,
            journal=journal,
            statements=WorldStatementSigner(party.statement_key),
            keys=self.keys[index],
            joint=joint,
            chains={
                Asset.BTC: BitcoinChain(own_id=party.signer, node=self.bitcoin, keys=self.keys[index]),
                Asset.ETH: EthereumChain(
                    own_id=party.signer,
                    network=world.network,
                    node=self.ethereum,
                    joint=joint,
                    participants=participants,
                ),
            },
            peers=self.wires,
            reconciliation=Reconciliation(
                own_id=party.signer,
                network=world.network,
                journal=journal,
                peer_keys=peer_keys,
                peers=self.wires,
            ),
            clockwork=Clockwork(
                skew_max_seconds=Seconds(7200),
                tip_age_max_seconds={Asset.BTC: Seconds(DAY), Asset.ETH: Seconds(DAY)},
            ),
            wall_clock=lambda: self.clock[0],
        )
        self.signers[index : index + 1] = [signer]
        self.wires.signers[party.signer] = signer
        return signer

    async def restart(self, index: int) -> Signer:
        """End a signer and start it again over the same journal."""
        self.signers[index].journal.close()
        signer = self.start(index)
        await self.reconcile(index)
        return signer

    async def saved(self, index: int) -> bytes:
        """A copy of a signer's journal as it is now; the signer starts again over the original."""
        self.signers[index].journal.close()
        copy = self.path(index).read_bytes()
        self.start(index)
        await self.reconcile(index)
        return copy

    def restore(self, index: int, copy: bytes) -> Signer:
        """Put an earlier copy in the journal's place, and start the signer over it."""
        self.signers[index].journal.close()
        self.path(index).write_bytes(copy)
        for suffix in ("-wal", "-shm"):
            self.path(index).with_name(self.path(index).name + suffix).unlink(missing_ok=True)
        return self.start(index)

    async def reconcile(self, *indexes: int) -> None:
        for index in indexes or range(3):
            for peer in self.signers[index].reconciliation.silent:
                await self.signers[index].reconciliation.ask(peer)
            pin(self.signers[index])

    async def onboard(self) -> None:
        parties = self.account_envelope()
        keys = await self.account_keys()
        for signer in self.signers:
            await cosign_account(signer, parties, keys)

    def account_envelope(self) -> Envelope:
        world = self.world
        return world.sign(world.account, world.pledgor, world.secured_party, world.custodian)

    async def account_keys(self) -> list[Envelope]:
        answers = [
            await create_account_key(signer, self.world.account.account, asset)
            for signer in self.signers
            for asset in Asset
        ]
        return [answer for answer in answers if not isinstance(answer, HeldElsewhere)]

    def vouched_keys(self) -> list[Envelope]:
        """The same statements without asking a signer: as the parties could have kept them."""
        world, holder = self.world, self.world.account.ethereum.holder
        return [
            world.cosign(world.account_key(party, asset), party)
            for party in world.signers
            for asset in Asset
            if asset is Asset.BTC or party.signer == holder
        ]

    async def show_allowlist(self) -> None:
        """Let every signer see the entries, so that their cooling-off is over when the tests begin."""
        for signer in self.signers:
            for asset in Asset:
                envelope = self.world.allowlist_envelope(asset)
                entry = self.world.allowlist_entry(asset)
                signer.journal.append(
                    AllowlistEntrySeen(
                        entry_digest=envelope.digest,
                        account=entry.account,
                        destination_id=entry.destination_id,
                    ),
                    at=self.clock[0],
                )

    # Time.

    def advance(self, seconds: int) -> None:
        """Time passes, and both chains know."""
        self.clock[0] = Seconds(self.clock[0] + seconds)
        self.bitcoin.mine(count=11)
        self.ethereum.mine()

    def pass_timelock(self, asset: Asset, *, tier: int = 0) -> None:
        terms = [each for each in self.world.policy.tiers if each.up_to.asset is asset][tier]
        self.advance(terms.timelock_seconds)
        chain = self.bitcoin if asset is Asset.BTC else self.ethereum
        chain.mine(count=terms.timelock_blocks)

    # What custody hands over.

    def anchor(self, index: int) -> OutpointAnchor:
        """A coin of the account as an intent names it."""
        return anchor_of(self.coins[index])

    def intent(self, asset: Asset, **changes: Any) -> Intent:
        if asset is Asset.BTC:
            changes.setdefault("anchor", anchor_of(self.coins[0]))
        return self.world.intent(asset, **changes)

    def announcement(self, intent: Intent, /, **changes: Any) -> Announcement:
        """Complete: maker, all approvers, release, allowlist entry."""
        announcement = Announcement(
            intent=self.world.approve(intent),
            release=self.world.release_envelope(intent),
            allowlist_entry=self.world.allowlist_envelope(intent.asset),
        )
        return replace(announcement, **changes)

    async def announce_everywhere(self, announcement: Announcement) -> tuple[Envelope, ...]:
        return tuple([await announce(signer, announcement) for signer in self.signers])

    async def announced(self, asset: Asset, **changes: Any) -> tuple[Intent, tuple[Envelope, ...]]:
        """An intent that every signer announced and whose timelock is over."""
        intent = self.intent(asset, **changes)
        receipts = await self.announce_everywhere(self.announcement(intent))
        self.pass_timelock(asset)
        return intent, receipts

    def signing(self, intent: Intent, receipts: tuple[Envelope, ...], **changes: Any) -> SigningRequest:
        """The baseline attempt: BTC out of the first coin."""
        request = SigningRequest(
            intent_digest=intent.digest,
            fee_units=FEES[intent.asset],
            coins=(self.coins[0],) if intent.asset is Asset.BTC else (),
            announce_receipts=receipts,
        )
        return replace(request, **changes)

    def close(self) -> None:
        for signer in self.signers:
            signer.journal.close()
