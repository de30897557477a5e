"""The address of a public key, which an account statement states and cannot check by itself."""

from coincurve import PublicKey

from signers.ethereum.keccak import keccak
from signers.statements.account import Account
from signers.statements.identifiers import CompressedKey, EthereumAddress
from signers.statements.refusals import Tag, refuse_unless


def address_of(key: CompressedKey) -> EthereumAddress:
    """The last 20 bytes of Keccak-256 of the uncompressed point (Yellow Paper, appendix F).

    Raises:
        ValueError: the key is no point of the curve.
    """
    uncompressed = PublicKey(key.raw).format(compressed=False)
    return EthereumAddress(keccak(uncompressed[1:])[-20:].hex())


def require_address(account: Account) -> None:
    """Refuse an account statement whose address is not its key's.

    Raises:
        Refusal: `account-keys`.
    """
    derived = address_of(account.ethereum.public_key)
    refuse_unless(
        derived == account.ethereum.address,
        Tag.ACCOUNT_KEYS,
        f"the key's address is {derived}, not {account.ethereum.address}",
    )
