"""What can go wrong for a client: the service refused, or what it said does not verify."""

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

SERVICE_DOMAIN = "bailee"
"""The domain of the service's own reasons; another one comes from something in between."""

_DECIDED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


class BaileeError(Exception):
    """The service answered a call with an error.

    Attributes:
        code: the gRPC status.
        reason: the stable reason (`ErrorReason` of the API without its prefix), or `""` from something that
            is not the service, such as a broken connection.
        message: for a person.
        metadata: the reason's data.
        fields: the request fields at fault, by path, with what is wrong.
    """

    def __init__(
        self,
        *,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        metadata: dict[str, str],
        fields: dict[str, str],
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = metadata
        self.fields = fields

    @property
    def decided(self) -> bool:
        """Whether the service says that it did nothing. Otherwise the call may still have had its effect."""
        return bool(self.reason) and self.code in _DECIDED

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "BaileeError":
        """Read the rich status (google.rpc.Status) that came with a failed call."""
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        try:
            status = rpc_status.from_call(error) or status_pb2.Status()
            for detail in status.details:
                detail.Unpack(info) or detail.Unpack(request)
        except (ValueError, DecodeError):
            # Details that contradict the status they came with are nobody's word.
            info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        ours = info.domain == SERVICE_DOMAIN
        return cls(
            code=error.code(),
            reason=info.reason if ours else "",
            message=error.details() or "",
            metadata=dict(info.metadata) if ours else {},
            fields={violation.field: violation.description for violation in request.field_violations},
        )


class VerificationError(Exception):
    """What the service said does not verify. Do not act on it; keep it as evidence."""
