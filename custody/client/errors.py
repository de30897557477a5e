"""What can go wrong for a client: the service refused, or what it said does not verify."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


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

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "BaileeError":
        """Read the rich status (google.rpc.Status) that came with a failed call."""
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        # rpc_status wants grpc.Call's method names; aio's error has the same.
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            detail.Unpack(info) or detail.Unpack(request)
        return cls(
            code=error.code(),
            reason=info.reason,
            message=error.details() or "",
            metadata=dict(info.metadata),
            fields={violation.field: violation.description for violation in request.field_violations},
        )


class VerificationError(Exception):
    """What the service said does not verify. Do not act on it; keep it as evidence."""
