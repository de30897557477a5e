"""Each RPC of a signer with a valid request: one that is answered, and then changes nothing any more."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from signers.rules.sign import sign
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.intent import Intent
from tests.signers.service.wire import CUSTODY, Authority, Wired
from tests.signers.stage import FEES, Stage
from tests.unit.proto import descriptors as api

METHODS: dict[str, MethodDescriptor] = {
    f"{method.containing_service.name}/{method.name}": method
    for method in api.methods()
    if method.full_name.startswith("bailee.signer.v1.")
}
"""Every RPC of a signer, from the protos on disk."""

PEER = "signer-2.bailee"
STUBS: dict[str, Any] = {
    "SignerService": signer_pb2_grpc.SignerServiceStub,
    "PeerService": signer_pb2_grpc.PeerServiceStub,
}


@dataclass
class Served:
    """Signer 1 of three behind mutual TLS; an intent is announced everywhere and its timelock over."""

    wired: Wired
    intent: Intent
    receipts: tuple[Envelope, ...]
    others_signatures: tuple[bytes, ...]
    """Signer 2's, of the attempt that the rows ask for."""
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    @classmethod
    async def set_up(cls, folder: Path, opened: AsyncExitStack) -> "Served":
        stage = await Stage.set_up(folder)
        opened.callback(stage.close)
        intent, receipts = await stage.announced(Asset.BTC)
        other = await sign(stage[1], stage.signing(intent, receipts))
        wired = await Wired.set_up(stage, Authority(folder / "authority"), opened)
        return cls(wired, intent, receipts, other.signatures)

    @property
    def stage(self) -> Stage:
        return self.wired.stage

    @property
    def journal(self) -> tuple[int, Digest | None]:
        """How far signer 1's is, and the digest over all of it."""
        journal = self.stage[0].journal
        return journal.sequence, journal.head_at(journal.sequence)

    async def call(self, caller: str, name: str, request: Message, *, seconds: float | None = 10) -> Message:
        """Ask signer 1 as whoever has a certificate for that name."""
        if caller not in self.channels:
            self.channels[caller] = self.wired.channel(0, self.wired.authority.issue(caller))
        service, method = name.split("/")
        answer: Message = await getattr(STUBS[service](self.channels[caller]), method)(
            request, timeout=seconds
        )
        return answer


@dataclass(frozen=True, kw_only=True)
class Row:
    """A valid call."""

    caller: str
    request: Callable[[Served], Message]


def _cosign(served: Served) -> pb.CosignAccountRequest:
    keys = [key.to_json() for key in served.stage.vouched_keys()]
    return pb.CosignAccountRequest(account=served.stage.account_envelope().to_json(), account_keys=keys)


def _prove(served: Served) -> pb.ProveOwnershipRequest:
    account = served.stage.world.account
    return pb.ProveOwnershipRequest(account_id=account.account, account_digest=account.digest)


def _announce(served: Served) -> pb.AnnounceRequest:
    world, intent = served.stage.world, served.intent
    return pb.AnnounceRequest(
        intent=world.approve(intent).to_json(),
        release=world.release_envelope(intent).to_json(),
        allowlist_entry=world.allowlist_envelope(intent.asset).to_json(),
    )


def _sign(served: Served) -> pb.SignRequest:
    coin, parts = served.stage.coins[0], pb.SignRequest
    return pb.SignRequest(
        intent_digest=served.intent.digest,
        fee_units=str(FEES[Asset.BTC]),
        bitcoin_inputs=[
            parts.BitcoinInput(previous_transaction=coin.previous_transaction, output_index=coin.index)
        ],
        announce_receipts=[receipt.to_json() for receipt in served.receipts],
        partial_signatures=[
            parts.PartialSignatures(signer_id=served.stage[1].id, signatures=served.others_signatures)
        ],
    )


def _receipt(served: Served) -> pb.GetReceiptRequest:
    return pb.GetReceiptRequest(intent_digest=served.intent.digest, act=pb.ACT_ANNOUNCED)


ROWS: dict[str, Row] = {
    "SignerService/CreateAccountKey": Row(
        caller=CUSTODY,
        request=lambda served: pb.CreateAccountKeyRequest(
            account_id=served.intent.account, chain=pb.CHAIN_BITCOIN
        ),
    ),
    "SignerService/CosignAccount": Row(caller=CUSTODY, request=_cosign),
    "SignerService/ProveOwnership": Row(caller=CUSTODY, request=_prove),
    "SignerService/Announce": Row(caller=CUSTODY, request=_announce),
    "SignerService/Sign": Row(caller=CUSTODY, request=_sign),
    "SignerService/GetReceipt": Row(caller=CUSTODY, request=_receipt),
    "PeerService/GetJournalHead": Row(
        caller=PEER,
        request=lambda served: pb.GetJournalHeadRequest(signer_id="signer-2", nonce=b"\x01" * 32),
    ),
    "PeerService/GetReceipt": Row(caller=PEER, request=_receipt),
}
"""By service and method; a test holds the keys equal to the RPCs of the protos."""
