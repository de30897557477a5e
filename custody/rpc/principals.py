"""Who calls: from the client certificate of the connection to a principal, and to the services it may use."""

from collections.abc import Iterable, Mapping
from typing import Final

from custody.domain.errors import PrincipalNotAllowed
from custody.domain.principal import Principal
from custody.rpc.refusals import CertificateRequired

TLS_VERSION: Final = b"TLSv1.3"


class Directory:
    """The principals of a deployment and each service's allow-list; without a list nobody may call."""

    def __init__(self, principals: Iterable[Principal], *, allowed: Mapping[str, frozenset[str]]) -> None:
        """Hold both.

        Args:
            principals: everybody who may connect.
            allowed: names of principals by full service name, such as `bailee.custody.v1.LienService`.

        Raises:
            ValueError: a list names a principal that does not exist.
        """
        self._principals = {principal.name: principal for principal in principals}
        self._allowed = dict(allowed)
        unknown = {name for names in allowed.values() for name in names} - self._principals.keys()
        if unknown:
            raise ValueError(f"services list principals that do not exist: {sorted(unknown)}")

    def authenticate(self, connection: Mapping[str, Iterable[bytes]]) -> Principal:
        """The principal of a connection.

        A certificate that names two principals, or a principal beside a URI or an address, was not issued for
        this service: what else its names mean is for others to say, so it is nobody here.

        Args:
            connection: gRPC's authentication context. TLS has verified the certificate's chain, dates and
                purpose before there is one.

        Raises:
            CertificateRequired: not TLS 1.3, no certificate, other than one DNS name, or one we do not know.
        """
        if tuple(connection.get("ssl_tls_version", ())) != (TLS_VERSION,):
            raise CertificateRequired("the connection is not TLS 1.3")
        names = tuple(connection.get("x509_subject_alternative_name", ()))
        if len(names) != 1 or names != tuple(connection.get("peer_dns", ())):
            raise CertificateRequired("the client certificate needs one subject alternative name, a DNS name")
        principal = self._principals.get(names[0].decode("ascii", "replace"))
        if principal is None:
            raise CertificateRequired("the client certificate names nobody that this service knows")
        return principal

    def certificate(self, connection: Mapping[str, Iterable[bytes]]) -> str:
        """What a connection's certificate calls itself, principal or not: to count by, never to trust."""
        names = connection.get("x509_subject_alternative_name", ())
        return b" ".join(names).decode("ascii", "replace")

    def authorise(self, principal: Principal, service: str) -> None:
        """Raise `PrincipalNotAllowed` unless the service's list names the principal."""
        if principal.name not in self._allowed.get(service, frozenset()):
            raise PrincipalNotAllowed(
                f"{principal.name} may not use {service}",
                data={"principal": principal.name, "service": service},
            )
