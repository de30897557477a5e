"""Accounts, their destinations and their reports, as messages."""

import functools
from typing import Final

from bailee.custody.v1 import account_pb2, collateral_report_pb2, destination_pb2
from bailee.custody.v1.account_pb2 import Account

from custody.application.ports.store import SignedPolicy, SignedReport
from custody.domain.account import AccountState, Halt, Onboarding, PledgeAccount
from custody.domain.destination import AllowedDestination, DestinationState
from custody.rpc.codec import addresses, names, values
from signers.statements import multisig, quorum
from signers.statements.account import Account as AccountStatement
from signers.statements.account import EthereumCustody, Party
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Seconds
from signers.statements.network import Network

STATES: Final = {
    AccountState.CREATING_KEYS: Account.STATE_CREATING_KEYS,
    AccountState.AWAITING_SIGNATURES: Account.STATE_AWAITING_SIGNATURES,
    AccountState.COSIGNING: Account.STATE_COSIGNING,
    AccountState.PROVING_OWNERSHIP: Account.STATE_PROVING_OWNERSHIP,
    AccountState.ACTIVE: Account.STATE_ACTIVE,
}
HALTS: Final = {
    Halt.REORG_SHORTFALL: Account.HALT_REORG_SHORTFALL,
    Halt.UNKNOWN_SPEND: Account.HALT_UNKNOWN_SPEND,
    Halt.FINALITY_REORG: Account.HALT_FINALITY_REORG,
    Halt.RECONCILIATION: Account.HALT_RECONCILIATION,
    Halt.AWAITING_RECONCILIATION: Account.HALT_AWAITING_RECONCILIATION,
}
HALTS_IN: Final = {number: halt for halt, number in HALTS.items()}
_COMPLETE: Final = frozenset({Account.STATE_PROVING_OWNERSHIP, Account.STATE_ACTIVE, Account.STATE_HALTED})
"""With every signature, which need not be verified again to say so."""

DESTINATION_STATES: Final = {
    DestinationState.PENDING_APPROVAL: destination_pb2.Destination.STATE_PENDING_APPROVAL,
    DestinationState.COOLING: destination_pb2.Destination.STATE_COOLING,
    DestinationState.USABLE: destination_pb2.Destination.STATE_USABLE,
}
ETHEREUM_CUSTODY: Final[dict[EthereumCustody, account_pb2.Account.EthereumKeyCustody]] = {
    "single-holder": Account.ETHEREUM_KEY_CUSTODY_SINGLE_HOLDER,
}


def account(of: PledgeAccount, onboarding: Onboarding | None, policy: SignedPolicy) -> Account:
    """An account. Its addresses are shown only once they are proven.

    Args:
        of: the account, or what it was when a request was answered first.
        onboarding: what was gathered by then.
        policy: the policy in force.
    """
    message = Account(
        name=names.account(of.account),
        pledgor=_party(of.pledgor),
        secured_party=_party(of.secured_party),
        custodian=_party(of.custodian),
        enforcement=Account.Enforcement(
            bitcoin_script_pubkey=of.enforcement.bitcoin.raw,
            ethereum_address=of.enforcement.ethereum.raw,
        ),
        network=values.NETWORKS[policy.policy.network],
        state=Account.STATE_HALTED if of.halted else STATES[of.state],
        halt_reason=", ".join(sorted(of.halts)),
        halts=sorted(HALTS[halt] for halt in of.halts),
        account_sequence=of.sequence,
        encumbrance_sequence=of.encumbrance_sequence,
        encumbrance_digest="" if of.encumbrance_head == GENESIS else of.encumbrance_head,
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=of.etag,
    )
    if of.statement_digest is not None and onboarding is not None and onboarding.statement is not None:
        _show_statement(message, onboarding.statement, policy)
        if of.state is AccountState.ACTIVE:
            _show_addresses(message, onboarding.statement, policy.policy.network)
    return message


def _party(of: Party) -> Account.Party:
    return Account.Party(entity=of.entity, public_key=of.public_key.raw)


def _show_statement(message: Account, envelope: Envelope, policy: SignedPolicy) -> None:
    statement = _statement(envelope.payload)
    message.statement = envelope.payload
    message.statement_digest = envelope.digest
    message.envelope = envelope.to_json()
    message.ethereum_key_custody = ETHEREUM_CUSTODY[statement.ethereum.custody]
    if message.state not in _COMPLETE:
        message.missing_signatures.extend(quorum.missing_parties(envelope, statement))
        message.missing_signatures.extend(quorum.missing_signers(envelope, policy.policy))


def _show_addresses(message: Account, envelope: Envelope, network: Network) -> None:
    shown = _addresses(envelope.payload, network)
    message.bitcoin_descriptor = shown.bitcoin_descriptor
    message.bitcoin_address.CopyFrom(shown.bitcoin_address)
    message.ethereum_address.CopyFrom(shown.ethereum_address)


@functools.lru_cache(maxsize=4096)
def _addresses(payload: bytes, network: Network) -> Account:
    """What a statement says of addresses: it never changes, and accounts are read often."""
    statement = _statement(payload)
    return Account(
        bitcoin_descriptor=addresses.with_checksum(multisig.descriptor(statement.bitcoin.keys)),
        bitcoin_address=values.bitcoin_address(statement.bitcoin.script_pubkey, network),
        ethereum_address=values.ethereum_address(statement.ethereum.address),
    )


@functools.lru_cache(maxsize=1024)
def _statement(payload: bytes) -> AccountStatement:
    """Parsing one verifies four proofs of possession, and it never changes."""
    return AccountStatement.parse(payload)


def destination(of: AllowedDestination, *, network: Network, now: Seconds) -> destination_pb2.Destination:
    """An allowlist entry, as it stands at `now`."""
    return destination_pb2.Destination(
        name=names.destination(of.account, of.destination_id),
        asset=values.ASSETS[of.asset],
        address=values.chain_address(of.destination, network),
        state=DESTINATION_STATES[of.state(now=now)],
        envelope=of.envelope.to_json(),
        statement_digest=of.digest,
        approving_entities=of.approved_by,
        missing_approvals=of.missing_approvals,
        usable_time=values.time(of.usable_at),
        create_time=values.time(of.created_at),
        update_time=values.time(of.updated_at),
        etag=of.etag,
    )


def report(of: SignedReport) -> collateral_report_pb2.CollateralReport:
    """A signed report with its path to the signed root."""
    return collateral_report_pb2.CollateralReport(
        name=names.report(of.account),
        report=of.report,
        batch=of.batch.to_json(),
        merkle_path=[digest.raw for digest in of.path],
        leaf_index=of.leaf_index,
        tree_size=of.tree_size,
        account_sequence=of.account_sequence,
        create_time=values.time(of.at),
    )
