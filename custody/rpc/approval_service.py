"""ApprovalService: what only approvers can do."""
# ruff: noqa: N802 - RPCs are named by the proto

from bailee.custody.v1 import approval_service_pb2, destination_pb2, withdrawal_pb2
from bailee.custody.v1.approval_service_pb2_grpc import ApprovalServiceServicer

from custody.application import consents, destinations
from custody.application.access import policy_in_force
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import accounts, commands, withdrawals


class ApprovalService(ApprovalServiceServicer):
    """For approvers. The signature in a call authorises, never the call."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def ApproveWithdrawal(
        self, request: approval_service_pb2.ApproveWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """Add one approver's signature over the intent."""
        command = commands.approve_withdrawal(request)
        now = self._backend.clock()
        approved, policy = await self._backend.execute(
            lambda uow: (
                consents.approve(uow, command, principal=context.principal, now=now),
                policy_in_force(uow).policy,
            )
        )
        return withdrawals.withdrawal(approved, network=policy.network)

    async def ApproveDestination(
        self, request: approval_service_pb2.ApproveDestinationRequest, context: Call
    ) -> destination_pb2.Destination:
        """Add one approver's signature over an allowlist entry."""
        command = commands.approve_destination(request)
        now = self._backend.clock()
        approved, policy = await self._backend.execute(
            lambda uow: (
                destinations.approve(uow, command, principal=context.principal, now=now),
                policy_in_force(uow).policy,
            )
        )
        return accounts.destination(approved, network=policy.network, now=approved.updated_at)
