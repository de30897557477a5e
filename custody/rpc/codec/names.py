"""Resource names (AIP-122): `accounts/{account}/withdrawals/{withdrawal}` and the like."""

from custody.domain.errors import FieldInvalid
from custody.domain.identifiers import DepositId, WithdrawalId
from custody.domain.ledger import Cause, CauseKind
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, DestinationId, EntityId, LienId

_COLLECTION_OF = {
    CauseKind.DESTINATION: "destinations",
    CauseKind.DEPOSIT: "deposits",
    CauseKind.DEPOSIT_REVERSED: "deposits",
    CauseKind.LIEN: "liens",
    CauseKind.WITHDRAWAL: "withdrawals",
    CauseKind.WITHDRAWAL_REOPENED: "withdrawals",
}


def account(account_id: AccountId) -> str:
    """`accounts/{account}`."""
    return f"accounts/{account_id}"


def report(account_id: AccountId) -> str:
    """`accounts/{account}/collateralReport`."""
    return f"accounts/{account_id}/collateralReport"


def destination(account_id: AccountId, destination_id: DestinationId) -> str:
    """`accounts/{account}/destinations/{destination}`."""
    return f"accounts/{account_id}/destinations/{destination_id}"


def deposit(account_id: AccountId, deposit_id: DepositId) -> str:
    """`accounts/{account}/deposits/{deposit}`."""
    return f"accounts/{account_id}/deposits/{deposit_id}"


def lien(account_id: AccountId, lien_id: LienId) -> str:
    """`accounts/{account}/liens/{lien}`."""
    return f"accounts/{account_id}/liens/{lien_id}"


def withdrawal(account_id: AccountId, withdrawal_id: WithdrawalId) -> str:
    """`accounts/{account}/withdrawals/{withdrawal}`."""
    return f"accounts/{account_id}/withdrawals/{withdrawal_id}"


def posting(account_id: AccountId, sequence: int, index: int) -> str:
    """`accounts/{account}/postings/{sequence}-{index}`."""
    return f"accounts/{account_id}/postings/{sequence}-{index}"


def price(publisher: EntityId, asset: Asset) -> str:
    """`prices/{publisher}-{asset}`."""
    return f"prices/{publisher}-{asset.value.lower()}"


def policy(version: int) -> str:
    """`policies/{version}`."""
    return f"policies/{version}"


def caused(account_id: AccountId, cause: Cause) -> str:
    """The resource that a cause is about: the account itself where it names no other."""
    collection = _COLLECTION_OF.get(cause.kind)
    return f"accounts/{account_id}/{collection}/{cause.reference}" if collection else account(account_id)


def parse_account(name: str, *, field: str) -> AccountId:
    """The id in `accounts/{account}` or in the name of anything below it."""
    return AccountId(_parts(name, field=field)[1])


def parse_destination(name: str, *, field: str) -> tuple[AccountId, DestinationId]:
    """Both ids in `accounts/{account}/destinations/{destination}`."""
    parts = _parts(name, field=field, collection="destinations")
    return AccountId(parts[1]), DestinationId(parts[3])


def parse_lien(name: str, *, field: str) -> tuple[AccountId, LienId]:
    """Both ids in `accounts/{account}/liens/{lien}`."""
    parts = _parts(name, field=field, collection="liens")
    return AccountId(parts[1]), LienId(parts[3])


def parse_withdrawal(name: str, *, field: str) -> tuple[AccountId, WithdrawalId]:
    """Both ids in `accounts/{account}/withdrawals/{withdrawal}`."""
    parts = _parts(name, field=field, collection="withdrawals")
    return AccountId(parts[1]), WithdrawalId(parts[3])


def parse_policy(name: str, *, field: str) -> int | None:
    """The version in `policies/{version}`; `None` for the one in force."""
    collection, _, version = name.partition("/")
    if collection != "policies":
        raise FieldInvalid("not the name of a policy", field=field)
    return None if version == "current" else int(version)


def _parts(name: str, *, field: str, collection: str | None = None) -> list[str]:
    """The segments. The proto's pattern has checked each of them; this holds where a pattern is forgotten."""
    parts = name.split("/")
    if len(parts) < 2 or parts[0] != "accounts" or (collection and parts[2:3] != [collection]):
        raise FieldInvalid(f"not the name of one of {collection or 'accounts'}", field=field)
    return parts
