"""WithdrawalService: outflows, from the parties' side."""
# ruff: noqa: N802 - RPCs are named by the proto

from collections.abc import Callable

from bailee.custody.v1 import withdrawal_pb2, withdrawal_service_pb2
from bailee.custody.v1.withdrawal_service_pb2_grpc import WithdrawalServiceServicer

from custody.application import consents, withdrawals
from custody.application.access import policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.domain.withdrawal import Withdrawal
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import commands
from custody.rpc.codec import withdrawals as codec


class WithdrawalService(WithdrawalServiceServicer):
    """For the parties of an account. The signature in a call authorises, never the call."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def CreateWithdrawal(
        self, request: withdrawal_service_pb2.CreateWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """Ask for an outflow and hold amount plus fee cap at once."""
        command = commands.create_withdrawal(request)
        now = self._backend.clock()
        return await self._answer(
            lambda uow: withdrawals.create(uow, command, principal=context.principal, now=now),
            validate_only=request.validate_only,
        )

    async def SignWithdrawal(
        self, request: withdrawal_service_pb2.SignWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """Add the maker's signature over the intent."""
        command = commands.sign_withdrawal(request)
        now = self._backend.clock()
        return await self._answer(
            lambda uow: consents.sign(uow, command, principal=context.principal, now=now)
        )

    async def ReleaseWithdrawal(
        self, request: withdrawal_service_pb2.ReleaseWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """Add the secured party's consent to this one intent."""
        command = commands.release_withdrawal(request)
        now, prices = self._backend.clock(), self._backend.store.projection.prices()
        disputed = self._backend.disputed()
        return await self._answer(
            lambda uow: consents.release(
                uow, command, principal=context.principal, now=now, prices=prices, disputed=disputed
            )
        )

    async def CancelWithdrawal(
        self, request: withdrawal_service_pb2.CancelWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """End a withdrawal that was not announced to any signer."""
        command = commands.cancel_withdrawal(request)
        now = self._backend.clock()
        return await self._answer(
            lambda uow: withdrawals.cancel(uow, command, principal=context.principal, now=now)
        )

    async def _answer(
        self, command: Callable[[UnitOfWork], Withdrawal], *, validate_only: bool = False
    ) -> withdrawal_pb2.Withdrawal:
        changed, policy = await self._backend.execute(
            lambda uow: (command(uow), policy_in_force(uow).policy), validate_only=validate_only
        )
        return codec.withdrawal(changed, network=policy.network)
