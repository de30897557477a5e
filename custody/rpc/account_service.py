"""AccountService: open pledge accounts and their allowlists."""
# ruff: noqa: N802 - RPCs are named by the proto

from bailee.custody.v1 import account_pb2, account_service_pb2, destination_pb2
from bailee.custody.v1.account_service_pb2_grpc import AccountServiceServicer

from custody.application import accounts, destinations
from custody.application.access import policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.domain.account import Dossier
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import accounts as codec
from custody.rpc.codec import commands


class AccountService(AccountServiceServicer):
    """For the custodian, and for pledgor and secured party to sign."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def CreateAccount(
        self, request: account_service_pb2.CreateAccountRequest, context: Call
    ) -> account_pb2.Account:
        """Begin a pledge account."""
        command = commands.create_account(request, custodian=self._backend.custodian)
        now = self._backend.clock()
        return await self._backend.execute(
            lambda uow: _message(uow, accounts.create(uow, command, principal=context.principal, now=now)),
            validate_only=request.validate_only,
        )

    async def SignAccount(
        self, request: account_service_pb2.SignAccountRequest, context: Call
    ) -> account_pb2.Account:
        """Add one party's signature to the account statement."""
        command = commands.sign_account(request)
        now = self._backend.clock()
        return await self._backend.execute(
            lambda uow: _message(uow, accounts.sign(uow, command, principal=context.principal, now=now))
        )

    async def LiftHalt(
        self, request: account_service_pb2.LiftHaltRequest, context: Call
    ) -> account_pb2.Account:
        """Lift one halt; comparing ledger and chains then opens the account."""
        command = commands.lift_halt(request)
        now = self._backend.clock()
        return await self._backend.execute(
            lambda uow: _message(uow, accounts.lift_halt(uow, command, principal=context.principal, now=now))
        )

    async def CreateDestination(
        self, request: account_service_pb2.CreateDestinationRequest, context: Call
    ) -> destination_pb2.Destination:
        """Propose a destination for the account's allowlist."""
        command = commands.create_destination(request)
        now = self._backend.clock()
        made, policy = await self._backend.execute(
            lambda uow: (
                destinations.create(uow, command, principal=context.principal, now=now),
                policy_in_force(uow).policy,
            ),
            validate_only=request.validate_only,
        )
        return codec.destination(made, network=policy.network, now=made.updated_at)


def _message(uow: UnitOfWork, made: Dossier) -> account_pb2.Account:
    """The account as it was answered first: a replay shows no signature that has come since."""
    return codec.account(made.account, made.onboarding, policy_in_force(uow))
