"""OpenBao's transit engine as a signer uses it: wrap and unwrap a private key, sign a statement.

The role's policy needs, on this signer's own mount, and nothing more of transit:
`keys/<wrapping key>` and `keys/<statement key>` read; `encrypt/<wrapping key>`, `decrypt/<wrapping key>` and
`sign/<statement key>` update.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from signers.keys.ecdsa import EcdsaSecret
from signers.keys.secret import SecretMalformed
from signers.vault import Answer, VaultAnswerUnfit, VaultConnection, VaultError

_WRAPPING_TYPE: Final = "aes256-gcm96"
_STATEMENT_TYPE: Final = "ed25519"
_ED25519_PUBLIC_BYTES: Final = 32
_ED25519_SIGNATURE_BYTES: Final = 64


class TransitKeyUnfit(VaultError):  # noqa: N818 - named for what is the case
    """A transit key is of another type than needed, or could leave OpenBao."""


class PlaintextMalformed(VaultError):  # noqa: N818 - named for what is the case
    """OpenBao decrypted the ciphertext, and what came out is no private key. Carries nothing of it."""


@dataclass(frozen=True, kw_only=True)
class TransitKey:
    """One named key of one transit mount.

    Attributes:
        mount: Mount point of the engine, e.g. `transit`.
        name: Name of the key.
    """

    mount: str
    name: str

    def check_wrapping(self, vault: VaultConnection) -> None:
        """Start-up check that this key can wrap and can never leave OpenBao.

        Raises:
            TransitKeyUnfit: another type, exportable, open to plaintext backup, deletable or derived.
            VaultError: as `VaultConnection.call`.
        """
        self._describe(vault, expected_type=_WRAPPING_TYPE)

    def statement_public_key(self, vault: VaultConnection, *, version: int) -> bytes:
        """The Ed25519 public key of one version, 32 bytes.

        Raises:
            TransitKeyUnfit: as `check_wrapping`, or no such version.
            VaultError: as `VaultConnection.call`.
        """
        answer = self._describe(vault, expected_type=_STATEMENT_TYPE)
        try:
            encoded = answer.text("data", "keys", str(version), "public_key")
        except VaultAnswerUnfit as exc:
            raise TransitKeyUnfit(f"transit key {self.name} has no version {version}") from exc
        return _decoded(encoded, length=_ED25519_PUBLIC_BYTES, what="public key")

    def wrap(self, vault: VaultConnection, secret: EcdsaSecret, *, associated_data: bytes) -> str:
        """Encrypts a private key; the ciphertext is OpenBao's own text form, `vault:v1:…`.

        Residual exposure: the key's base64 passes through immutable `str` and `bytes` of json, requests and
        http.client and through OpenSSL, which Python cannot wipe. They are released, not overwritten.
        """
        answer = vault.call(
            f"transit encrypt with {self.name}",
            lambda client: client.secrets.transit.encrypt_data(
                name=self.name,
                plaintext=secret.to_base64(),
                associated_data=base64.b64encode(associated_data).decode("ascii"),
                mount_point=self.mount,
            ),
        )
        return answer.text("data", "ciphertext")

    def unwrap(self, vault: VaultConnection, ciphertext: str, *, associated_data: bytes) -> EcdsaSecret:
        """Decrypts a private key straight into locked memory. The caller wipes it.

        Residual exposure: as `wrap`; here the answer's `bytes`, its text and the JSON string hold the base64.

        Raises:
            VaultRequestRefused: tampered ciphertext, or other associated data than at wrapping.
            PlaintextMalformed: the plaintext is no private key.
            VaultError: as `VaultConnection.call`.
        """
        answer = vault.call(
            f"transit decrypt with {self.name}",
            lambda client: client.secrets.transit.decrypt_data(
                name=self.name,
                ciphertext=ciphertext,
                associated_data=base64.b64encode(associated_data).decode("ascii"),
                mount_point=self.mount,
            ),
        )
        try:
            return EcdsaSecret.from_base64(answer.text("data", "plaintext"))
        except SecretMalformed:
            pass
        # Outside the handler: the context's frames hold the plaintext.
        raise PlaintextMalformed(f"transit decrypt with {self.name}: not a private key")

    def sign(self, vault: VaultConnection, message: bytes, *, version: int) -> bytes:
        """Ed25519 over `message` with one version of the key, 64 bytes, not yet verified.

        Raises:
            VaultError: as `VaultConnection.call`.
        """
        answer = vault.call(
            f"transit sign with {self.name}",
            lambda client: client.secrets.transit.sign_data(
                name=self.name,
                hash_input=base64.b64encode(message).decode("ascii"),
                key_version=version,
                mount_point=self.mount,
            ),
        )
        prefix, _, encoded = answer.text("data", "signature").rpartition(":")
        if prefix != f"vault:v{version}":
            raise VaultAnswerUnfit(
                f"transit sign with {self.name}: signed with another version than {version}"
            )
        return _decoded(encoded, length=_ED25519_SIGNATURE_BYTES, what="signature")

    def _describe(self, vault: VaultConnection, *, expected_type: str) -> Answer:
        answer = vault.call(
            f"reading transit key {self.name}",
            lambda client: client.secrets.transit.read_key(name=self.name, mount_point=self.mount),
        )
        kind = answer.text("data", "type")
        if kind != expected_type:
            raise TransitKeyUnfit(f"transit key {self.name} is {kind}, not {expected_type}")
        for flaw in ("exportable", "allow_plaintext_backup", "deletion_allowed", "derived"):
            if answer.boolean("data", flaw):
                raise TransitKeyUnfit(f"transit key {self.name} is {flaw.replace('_', ' ')}")
        return answer


def _decoded(encoded: str, *, length: int, what: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise VaultAnswerUnfit(f"transit: the {what} is not base64") from exc
    if len(raw) != length:
        raise VaultAnswerUnfit(f"transit: the {what} has {len(raw)} bytes, not {length}")
    return raw
