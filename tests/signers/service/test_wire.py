"""The whole life of an intent over real mutual TLS, and signers that reach each other past custody."""

import os
import re
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import grpc
import pytest
from bailee.signer.v1 import signer_pb2 as pb

from signers.bitcoin.coins import INPUTS_MAX, PREVIOUS_BYTES_MAX, PREVIOUS_BYTES_TOTAL_MAX
from signers.peers.port import PeerUnavailable
from signers.rules import watch
from signers.rules.receipts import missing
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, SignerId
from signers.statements.network import Network
from signers.statements.receipt import Act, Receipt
from tests.signers.service.wire import Authority, Wired
from tests.signers.stage import FEES

SECONDS = 10


async def announce_everywhere(wired: Wired, asset: Asset) -> tuple[Digest, list[bytes]]:
    intent = wired.stage.intent(asset)
    announcement = wired.stage.announcement(intent)
    assert announcement.release is not None
    request = pb.AnnounceRequest(
        intent=announcement.intent.to_json(),
        release=announcement.release.to_json(),
        allowlist_entry=announcement.allowlist_entry.to_json(),
    )
    answers = [await wired.custody(index).Announce(request, timeout=SECONDS) for index in range(3)]
    wired.stage.pass_timelock(asset)
    return intent.digest, [answer.receipt for answer in answers]


async def test_bitcoin(wired: Wired) -> None:
    digest, receipts = await announce_everywhere(wired, Asset.BTC)
    coin = wired.stage.coins[0]
    request = pb.SignRequest(
        intent_digest=digest,
        fee_units=str(FEES[Asset.BTC]),
        bitcoin_inputs=[
            pb.SignRequest.BitcoinInput(
                previous_transaction=coin.previous_transaction, output_index=coin.index
            )
        ],
        announce_receipts=receipts,
    )
    first = await wired.custody(0).Sign(request, timeout=SECONDS)
    request.partial_signatures.append(
        pb.SignRequest.PartialSignatures(signer_id="signer-1", signatures=first.bitcoin.signatures)
    )
    second = await wired.custody(1).Sign(request, timeout=SECONDS)
    assert first.bitcoin.unsigned_transaction == second.bitcoin.unsigned_transaction
    again = await wired.custody(1).Sign(request, timeout=SECONDS)
    assert again == second
    read = await wired.custody(1).GetReceipt(
        pb.GetReceiptRequest(intent_digest=digest, act=pb.ACT_SIGNED), timeout=SECONDS
    )
    assert read.receipt == second.receipt


async def test_a_request_of_the_longest_inputs_and_receipts_is_one_message(wired: Wired) -> None:
    """What the rules take the wire must not refuse: that is no signed word, and custody waits for one."""
    digest, _ = await announce_everywhere(wired, Asset.BTC)
    rest = (PREVIOUS_BYTES_TOTAL_MAX - 5 * PREVIOUS_BYTES_MAX) // (INPUTS_MAX - 5)
    sizes = [PREVIOUS_BYTES_MAX] * 5 + [rest] * (INPUTS_MAX - 5)
    request = pb.SignRequest(
        intent_digest=digest,
        fee_units=str(FEES[Asset.BTC]),
        bitcoin_inputs=[
            pb.SignRequest.BitcoinInput(previous_transaction=bytes(size), output_index=99_999)
            for size in sizes
        ],
        announce_receipts=[b"{" * 65_536] * 32,
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await wired.custody(0).Sign(request, timeout=SECONDS)
    assert str(raised.value.details()).startswith("statement-malformed"), "the receipts, by the rules"
    request.bitcoin_inputs[0].previous_transaction += b"\x00"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await wired.custody(0).Sign(request, timeout=SECONDS)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_ethereum(wired: Wired) -> None:
    digest, receipts = await announce_everywhere(wired, Asset.ETH)
    request = pb.SignRequest(intent_digest=digest, fee_units=str(FEES[Asset.ETH]), announce_receipts=receipts)
    answer = await wired.custody(0).Sign(request, timeout=SECONDS)
    assert answer.ethereum.raw_transaction[0] == 2
    receipt = Receipt.read(Envelope.from_json(answer.receipt), network=Network.REGTEST)
    assert (receipt.act, receipt.ethereum_custody) == (Act.SIGNED, "single-holder")


async def test_onboarding(wired: Wired) -> None:
    stage, account = wired.stage, wired.stage.world.account
    keys = []
    for index in range(3):
        for chain in (pb.CHAIN_BITCOIN, pb.CHAIN_ETHEREUM):
            request = pb.CreateAccountKeyRequest(account_id=account.account, chain=chain)
            answer = await wired.custody(index).CreateAccountKey(request, timeout=SECONDS)
            keys.append(answer.envelope or answer.holder)
    assert [key for key in keys if isinstance(key, str)] == ["signer-1", "signer-1"]
    envelopes = [key for key in keys if isinstance(key, bytes)]
    cosign = pb.CosignAccountRequest(account=stage.account_envelope().to_json(), account_keys=envelopes)
    prove = pb.ProveOwnershipRequest(account_id=account.account, account_digest=account.digest)
    for index, party in enumerate(stage.world.signers):
        cosigned = await wired.custody(index).CosignAccount(cosign, timeout=SECONDS)
        assert Envelope.from_json(cosigned.envelope).signed_by(party.public_key)
        proof = await wired.custody(index).ProveOwnership(prove, timeout=SECONDS)
        assert proof.bitcoin.signer_id == party.signer
        assert proof.HasField("ethereum") is (index == 0)


async def test_a_signer_confirms_its_journal_and_gathers_receipts_past_custody(wired: Wired) -> None:
    digest, _ = await announce_everywhere(wired, Asset.BTC)
    signer = wired.over_the_wire(0)
    assert len(signer.reconciliation.silent) == 2
    assert await watch.tick(signer)
    assert not signer.reconciliation.silent
    assert not missing(signer, signer.journal.views.intents[digest])
    # Each of the others learned the head of signer-1 in the same way, and holds it against a rollback.
    await watch.tick(wired.signers[1])
    assert signer.id in wired.stage[1].journal.views.peer_heads


async def test_a_peer_that_has_not_announced_or_does_not_answer(wired: Wired) -> None:
    signer = wired.signers[0]
    digest = Digest("ab" * 32)
    assert await signer.peers.announce_receipt(signer.peer_ids[0], digest) is None
    await wired.servers[1].stop()
    with pytest.raises(PeerUnavailable):
        await wired.signers[2].peers.announce_receipt(SignerId("signer-2"), digest)


PROBE = """
import signers.tls_floor
import asyncio, sys
from pathlib import Path
import grpc
from signers.service.server import Tls, WeakTls, require_tls_1_3

async def main() -> None:
    certificate, key, authority = map(Path, sys.argv[1:])
    tls = Tls(certificate=certificate, key=key, authority=authority)
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials())
    await server.start()
    await asyncio.to_thread(require_tls_1_3, "127.0.0.1", port, tls=tls)
    print(port, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def start_server(tls: object, code: str) -> "subprocess.Popen[str]":
    files = [str(getattr(tls, name)) for name in ("certificate", "key", "authority")]
    # What another test imported may have set the floor in this process: the server has to set its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *files],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_below_tls_1_3(tmp_path: Path) -> None:
    tls = Authority(tmp_path / "authority").issue("localhost")
    server = start_server(tls, PROBE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for version, accepted in ((ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)):
            option = "-tls1_2" if version is ssl.TLSVersion.TLSv1_2 else "-tls1_3"
            client = subprocess.run(
                [
                    *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", option, "-alpn", "h2"),
                    *("-cert", str(tls.certificate), "-key", str(tls.key), "-CAfile", str(tls.authority)),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",  # it prints session tickets
                check=False,
            )
            cipher = re.search(r"Cipher is (\S+)", client.stdout)
            assert cipher is not None
            assert (cipher[1] != "(NONE)") is accepted, version
    finally:
        server.kill()
        server.communicate()


def test_a_server_that_would_take_tls_1_2_does_not_start(tmp_path: Path) -> None:
    tls = Authority(tmp_path / "authority").issue("localhost")
    server = start_server(tls, PROBE.replace("import signers.tls_floor", ""))
    _, told = server.communicate(timeout=60)
    assert server.returncode != 0
    assert "accepted TLS 1.2" in told
