"""What somebody who owns the custody host would try: custody's own certificate, and another destination."""

import uuid
from dataclasses import replace
from typing import Any

import grpc
from bailee.signer.v1 import signer_pb2, signer_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from deploy.localnet.demo.wallets import BitcoinWallet, EthereumWallet
from deploy.localnet.localnet import Localnet
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import IntentId
from signers.statements.intent import Intent

_DEADLINE_SECONDS = 10.0


def ask_for_another_destination(net: Localnet, withdrawal: Any, intent: Intent, *, entry: bytes) -> str:
    """Announce the approved intent to signer-1 with a destination of the attacker's.

    Args:
        net: whose custody certificate is abused.
        withdrawal: with the genuine approvals and release.
        intent: the genuine one.
        entry: the genuine allowlist envelope.

    Returns:
        The tag of the rule that refused.

    Raises:
        AssertionError: the signer did not refuse.
    """
    mine = BitcoinWallet.new() if intent.asset is Asset.BTC else EthereumWallet.new()
    # Under an id of its own, so that it is not the journal that stops it but what the approvers signed.
    lie = replace(intent, intent=IntentId(str(uuid.uuid4())), destination=mine.destination)
    approved = Envelope.from_json(withdrawal.intent_envelope)
    forged = Envelope(Intent.TYPE, lie.payload(), approved.signatures)
    request = signer_pb2.AnnounceRequest(
        intent=forged.to_json(), release=withdrawal.release_envelope, allowlist_entry=entry
    )
    certificate, signer = net.custody.certificate, net.signers[1]
    credentials = grpc.ssl_channel_credentials(
        certificate.authority_file.read_bytes(),
        certificate.key_file.read_bytes(),
        certificate.certificate_file.read_bytes(),
    )
    options = [("grpc.ssl_target_name_override", signer.certificate.name)]
    with grpc.secure_channel(signer.target, credentials, options=options) as channel:
        try:
            signer_pb2_grpc.SignerServiceStub(channel).Announce(request, timeout=_DEADLINE_SECONDS)
        except grpc.RpcError as error:
            return _tag(error)
    raise AssertionError("a signer announced a destination that nobody approved")


def _tag(error: grpc.RpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        detail.Unpack(info)
    if not info.reason:
        raise AssertionError(f"the signer answered without a rule: {error}")
    return str(info.reason)
