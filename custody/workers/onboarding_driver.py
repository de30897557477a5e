"""Drive accounts from their keys to active: keys, statement, co-signatures, ownership proofs.

Signers make keys and co-sign at most once and answer the same again; what is on record already is never
asked twice. No address is given out, and nothing paid there counts, before every pair of signers has proven
that it can spend from it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from custody.application import onboarding
from custody.application.access import policy_in_force
from custody.application.ports.signers import HeldBy, SignerAnswerInvalid, SignerError, Signers
from custody.application.ports.store import Snapshot, Store
from custody.application.ports.verification import AccountVerifier, OwnershipUnproven
from custody.application.signed import read
from custody.domain.account import AccountState, Onboarding, PledgeAccount
from custody.domain.errors import CustodyError, StoreUnavailable
from custody.workers.pauses import Pauses
from custody.workers.run_loop import Clock
from signers.statements import multisig, quorum
from signers.statements.account import (
    Account,
    AccountKey,
    BitcoinCosigner,
    BitcoinTerms,
    EthereumCustody,
    EthereumTerms,
)
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import SignerId
from signers.statements.policy import Policy

ETHEREUM_CUSTODY: Final[EthereumCustody] = "single-holder"

Step = Callable[[PledgeAccount, Onboarding, Policy], Awaitable[None]]
_log = structlog.get_logger(__name__)


class OnboardingDriver:
    """Takes every account that is not active yet one step further.

    Args:
        store: the ledger.
        signers: the signers of the policy.
        verifier: checks keys and proofs.
        clock: the time.
        pauses: when what failed is tried again.
    """

    name = "onboarding-driver"

    def __init__(
        self,
        *,
        store: Store,
        signers: Signers,
        verifier: AccountVerifier,
        clock: Clock,
        pauses: Pauses | None = None,
    ) -> None:
        self._store = store
        self._signers = signers
        self._verifier = verifier
        self._clock = clock
        self._pauses = pauses or Pauses()
        self._proof_round: dict[str, int] = {}
        self._steps: Mapping[AccountState, Step] = {
            AccountState.CREATING_KEYS: self._create_keys,
            AccountState.COSIGNING: self._cosign,
            AccountState.PROVING_OWNERSHIP: self._prove,
        }

    async def tick(self) -> bool:
        """One step of every account that is due.

        Raises:
            StoreUnavailable: the store has stopped.
        """
        progress = False
        policy, accounts = await self._store.read(_work)
        for account, gathered in accounts:
            step = self._steps.get(account.state)
            if step is not None and self._pauses.due(account.account, now=self._clock()):
                progress |= await self._try(step, account, gathered, policy)
        return progress

    async def _try(self, step: Step, account: PledgeAccount, gathered: Onboarding, policy: Policy) -> bool:
        try:
            await step(account, gathered, policy)
        except StoreUnavailable:
            raise
        except (SignerError, CustodyError, OwnershipUnproven) as error:
            _log.warning("failed", account=account.account, error=type(error).__name__, detail=str(error))
            self._pauses.failed(account.account, now=self._clock())
            return False
        except Exception:  # noqa: BLE001 - one account's edge: nobody else's waits for it
            # A fault of this program: as after a crash, the step on record is done again.
            _log.critical("unforeseen fault, it alone waits", account=account.account, exc_info=True)
            self._pauses.failed(account.account, now=self._clock())
            return False
        self._pauses.worked(account.account)
        return True

    async def _create_keys(self, account: PledgeAccount, gathered: Onboarding, policy: Policy) -> None:
        """CREATING_KEYS: one missing key, then the statement over all of them."""
        keys = onboarding.keys_of(gathered, network=policy.network)
        made = {(key.signer, key.asset) for key in keys}
        signers = (terms.signer for terms in policy.signers)
        missing = next((signer for signer in signers if (signer, Asset.BTC) not in made), None)
        if missing is not None:
            await self._create_key(account, missing, Asset.BTC, policy)
        elif not any(asset is Asset.ETH for _, asset in made):
            await self._create_key(account, await self._holder(account, policy), Asset.ETH, policy)
        else:
            await self._prepare(account, keys, policy)

    async def _holder(self, account: PledgeAccount, policy: Policy) -> SignerId:
        """Who holds the Ethereum key, by the first signer's word; that signer's own key then shows it."""
        first = policy.signers[0].signer
        answer = await self._signers.create_account_key(first, account=account.account, asset=Asset.ETH)
        if not isinstance(answer, HeldBy):
            return first
        if answer.holder not in {terms.signer for terms in policy.signers}:
            raise SignerAnswerInvalid(first, f"held by {answer.holder}, whom the policy does not name")
        return answer.holder

    async def _create_key(
        self, account: PledgeAccount, signer: SignerId, asset: Asset, policy: Policy
    ) -> None:
        answer = await self._signers.create_account_key(signer, account=account.account, asset=asset)
        if isinstance(answer, HeldBy):
            raise SignerAnswerInvalid(signer, f"its {asset} key is held by {answer.holder}")
        key = read(AccountKey, answer.envelope, network=policy.network)
        if (key.signer, key.asset) != (signer, asset):
            raise SignerAnswerInvalid(
                signer, f"asked for its {asset} key: the {key.asset} key of {key.signer}"
            )
        command = onboarding.RecordAccountKey(account=account.account, envelope=answer.envelope)
        await self._store.execute(lambda uow: onboarding.record_account_key(uow, command, now=self._clock()))

    async def _prepare(self, account: PledgeAccount, keys: Sequence[AccountKey], policy: Policy) -> None:
        statement = self._statement(account, keys, policy)
        command = onboarding.PrepareStatement(account=account.account, statement=statement)
        await self._store.execute(lambda uow: onboarding.statement_prepared(uow, command, now=self._clock()))

    def _statement(self, account: PledgeAccount, keys: Sequence[AccountKey], policy: Policy) -> Account:
        cosigners = tuple(
            BitcoinCosigner(signer=key.signer, public_key=key.public_key, proof=key.proof)
            for key in sorted(keys, key=lambda each: each.signer)
            if key.asset is Asset.BTC
        )
        held = next(key for key in keys if key.asset is Asset.ETH)
        return Account(
            network=policy.network,
            account=account.account,
            pledgor=account.pledgor,
            secured_party=account.secured_party,
            custodian=account.custodian,
            policy_digest=account.policy_digest,
            bitcoin=BitcoinTerms(
                cosigners=cosigners,
                script_pubkey=multisig.script_pubkey([cosigner.public_key for cosigner in cosigners]),
            ),
            ethereum=EthereumTerms(
                custody=ETHEREUM_CUSTODY,
                holder=held.signer,
                public_key=held.public_key,
                proof=held.proof,
                address=self._verifier.ethereum_address(held.public_key),
            ),
            enforcement=account.enforcement,
            created_at=self._clock(),
        )

    async def _cosign(self, account: PledgeAccount, gathered: Onboarding, policy: Policy) -> None:
        """COSIGNING: one signer that has not co-signed."""
        statement = gathered.prepared
        signer = SignerId(quorum.missing_signers(statement, policy)[0])
        envelope = await self._signers.cosign_account(signer, account=statement, account_keys=gathered.keys)
        command = onboarding.RecordCosignature(account=account.account, envelope=envelope)
        await self._store.execute(lambda uow: onboarding.record_cosignature(uow, command, now=self._clock()))

    async def _prove(self, account: PledgeAccount, gathered: Onboarding, policy: Policy) -> None:
        """PROVING_OWNERSHIP: one signer's part; with all three on record, verify every pair and activate."""
        statement = gathered.prepared
        proven = {proof.signer for proof in gathered.proofs}
        missing = next((terms.signer for terms in policy.signers if terms.signer not in proven), None)
        if missing is not None:
            await self._prove_part(account, missing, statement)
            return
        try:
            agreed = Account.read(statement, network=policy.network)
            self._verifier.verify_ownership(agreed, gathered.proofs)
        except OwnershipUnproven:
            await self._prove_again(account, statement, policy)
            raise
        command = onboarding.ActivateAccount(account=account.account)
        await self._store.execute(lambda uow: onboarding.activate(uow, command, now=self._clock()))

    async def _prove_part(self, account: PledgeAccount, signer: SignerId, statement: Envelope) -> None:
        proof = await self._signers.prove_ownership(
            signer, account=account.account, account_digest=statement.digest
        )
        command = onboarding.RecordOwnershipProof(account=account.account, proof=proof)
        await self._store.execute(
            lambda uow: onboarding.record_ownership_proof(uow, command, now=self._clock())
        )

    async def _prove_again(self, account: PledgeAccount, statement: Envelope, policy: Policy) -> None:
        """A part was rubbish and nothing says whose: ask the signers again, one at each try."""
        turn = self._proof_round.get(account.account, 0)
        self._proof_round[account.account] = turn + 1
        signer = policy.signers[turn % len(policy.signers)].signer
        await self._prove_part(account, signer, statement)


def _work(snapshot: Snapshot) -> tuple[Policy, Sequence[tuple[PledgeAccount, Onboarding]]]:
    return policy_in_force(snapshot).policy, onboarding.in_onboarding(snapshot)
