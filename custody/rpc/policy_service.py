"""PolicyService: show the policy in force."""
# ruff: noqa: N802 - RPCs are named by the proto

from bailee.custody.v1 import policy_pb2, policy_service_pb2
from bailee.custody.v1.policy_service_pb2_grpc import PolicyServiceServicer

from custody.domain.errors import NotFound
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import ledger, names


class PolicyService(PolicyServiceServicer):
    """Policies change by their administrators' signatures, never by a call."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def GetPolicy(
        self, request: policy_service_pb2.GetPolicyRequest, context: Call
    ) -> policy_pb2.Policy:
        """Read one version of the policy."""
        del context  # whoever may use this service may read the policy
        version = names.parse_policy(request.name, field="name")
        policy = self._backend.store.projection.policy()
        if policy is None or version not in {None, policy.policy.version}:
            raise NotFound("policy", request.name, field="name")
        return ledger.policy(policy)
