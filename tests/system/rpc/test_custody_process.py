"""`bailee-custody` as it is deployed: real nodes, signers and OpenBao behind it, certificates before it."""

import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from bailee.custody.v1 import account_service_pb2 as account_rpc
from bailee.custody.v1 import collateral_service_pb2 as read_rpc
from bailee.custody.v1 import policy_service_pb2 as policy_rpc
from bailee.custody.v1.account_pb2 import Account
from bailee.custody.v1.account_service_pb2_grpc import AccountServiceStub
from bailee.custody.v1.collateral_service_pb2_grpc import CollateralServiceStub
from bailee.custody.v1.policy_service_pb2_grpc import PolicyServiceStub

from deploy.localnet.localnet import Localnet
from deploy.localnet.people import Person
from signers.statements.account import Account as AccountStatement

pytestmark = pytest.mark.system

PATIENCE_SECONDS = 60.0


def channel(net: Localnet, person: Person) -> grpc.Channel:
    certificate = person.certificate
    credentials = grpc.ssl_channel_credentials(
        certificate.authority_file.read_bytes(),
        certificate.key_file.read_bytes(),
        certificate.certificate_file.read_bytes(),
    )
    name = net.custody.certificate.name
    return grpc.secure_channel(
        net.custody.target, credentials, options=[("grpc.ssl_target_name_override", name)]
    )


def refusal(call: Callable[..., Any], request: object) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10)
    code: grpc.StatusCode = caught.value.code()
    return code


def create(net: Localnet, account: str) -> account_rpc.CreateAccountRequest:
    request = account_rpc.CreateAccountRequest(request_id=str(uuid.uuid4()), account_id=account)
    for party, name in (("pledgor", "pledgor.client-one"), ("secured_party", "margin-engine.broker-one")):
        person = net.people[name]
        getattr(request.account, party).entity = person.entity
        getattr(request.account, party).public_key = person.public_key.raw
    request.account.enforcement.bitcoin_script_pubkey = b"\x00\x14" + b"\xe1" * 20
    request.account.enforcement.ethereum_address = b"\xe2" * 20
    return request


def awaiting_signatures(reads: CollateralServiceStub, name: str) -> Account:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = reads.GetAccount(read_rpc.GetAccountRequest(name=name), timeout=10)
        if found.state != Account.STATE_CREATING_KEYS or time.monotonic() > give_up:
            return found
        time.sleep(0.2)


def test_tls_1_2_is_refused(localnet: Localnet) -> None:
    certificate = localnet.people["auditor.auditor-one"].certificate
    ours = ["-cert", str(certificate.certificate_file), "-key", str(certificate.key_file)]
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", localnet.custody.target, "-alpn", "h2", *ours],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert b"Cipher is (NONE)" in done.stdout


def test_everybody_on_a_list_is_answered_and_nobody_else(localnet: Localnet) -> None:
    request = policy_rpc.GetPolicyRequest(name="policies/current")
    for person in localnet.people.values():
        with channel(localnet, person) as to:
            policies = PolicyServiceStub(to)
            if "policy" in person.part.services:
                assert policies.GetPolicy(request, timeout=10).digest == localnet.policy.digest
            elif person.part.services:
                assert refusal(policies.GetPolicy, request) is grpc.StatusCode.PERMISSION_DENIED
            else:
                assert refusal(policies.GetPolicy, request) is grpc.StatusCode.UNAUTHENTICATED
            if "account" not in person.part.services:
                opened = refusal(AccountServiceStub(to).CreateAccount, create(localnet, "not-for-you"))
                assert opened in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}


def test_an_account_gets_its_keys_and_survives_a_kill_and_a_restart(localnet: Localnet) -> None:
    """CreateAccount → the signers' keys → the statement; SIGKILL; the same account; SIGTERM ends with 0."""
    with channel(localnet, localnet.people["operations.custodian-one"]) as to:
        made = AccountServiceStub(to).CreateAccount(create(localnet, "edge-of-custody"), timeout=10)
        before = awaiting_signatures(CollateralServiceStub(to), made.name)
    assert before.state == Account.STATE_AWAITING_SIGNATURES
    statement = AccountStatement.parse(before.statement)
    assert statement.digest == before.statement_digest
    assert [cosigner.signer for cosigner in statement.bitcoin.cosigners] == [
        "signer-1",
        "signer-2",
        "signer-3",
    ]
    assert not before.HasField("bitcoin_address")

    localnet.custody.kill()
    localnet.custody.start()
    with channel(localnet, localnet.people["pledgor.client-one"]) as to:
        after = awaiting_signatures(CollateralServiceStub(to), made.name)
    assert after == before

    with channel(localnet, localnet.people["pledgor.client-two"]) as to:
        request = read_rpc.GetAccountRequest(name=made.name)
        assert refusal(CollateralServiceStub(to).GetAccount, request) is grpc.StatusCode.NOT_FOUND

    localnet.custody.stop()
    assert localnet.custody.process.exit_code == 0
    localnet.custody.start()
