"""LienService: what only the secured party can do."""
# ruff: noqa: N802 - RPCs are named by the proto

from bailee.custody.v1 import lien_pb2, lien_service_pb2
from bailee.custody.v1.lien_service_pb2_grpc import LienServiceServicer

from custody.application import liens
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import commands, ledger


class LienService(LienServiceServicer):
    """Hold collateral and give it back, each time by a signed encumbrance."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def ReserveLien(self, request: lien_service_pb2.ReserveLienRequest, context: Call) -> lien_pb2.Lien:
        """Hold units of free collateral until the statement's expiry."""
        command = commands.reserve_lien(request)
        now, prices = self._backend.clock(), self._backend.store.projection.prices()
        disputed = self._backend.disputed()
        lien = await self._backend.execute(
            lambda uow: liens.reserve(
                uow, command, principal=context.principal, now=now, prices=prices, disputed=disputed
            ),
            validate_only=request.validate_only,
        )
        return ledger.lien(lien)

    async def PostLien(self, request: lien_service_pb2.PostLienRequest, context: Call) -> lien_pb2.Lien:
        """Make a reservation permanent, wholly or partly."""
        command = commands.post_lien(request)
        now = self._backend.clock()
        lien = await self._backend.execute(
            lambda uow: liens.post(uow, command, principal=context.principal, now=now)
        )
        return ledger.lien(lien)

    async def VoidLien(self, request: lien_service_pb2.VoidLienRequest, context: Call) -> lien_pb2.Lien:
        """Give a reserved or posted lien back, whole."""
        command = commands.void_lien(request)
        now = self._backend.clock()
        lien = await self._backend.execute(
            lambda uow: liens.void(uow, command, principal=context.principal, now=now)
        )
        return ledger.lien(lien)
