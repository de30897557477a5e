"""Resource names, of ids that people and statements use."""

from signers.statements.identifiers import AccountId


def account_name(account: str) -> str:
    """The resource name of an account id."""
    return f"accounts/{AccountId(account)}"


def report_name(account: str) -> str:
    """The resource name of an account's report."""
    return f"{account_name(account)}/collateralReport"


def destination_name(account: str, destination: str) -> str:
    """The resource name of a destination of an account."""
    return f"{account_name(account)}/destinations/{destination}"


def lien_name(account: str, lien: str) -> str:
    """The resource name of a lien of an account."""
    return f"{account_name(account)}/liens/{lien}"


def withdrawal_name(account: str, withdrawal: str) -> str:
    """The resource name of a withdrawal of an account."""
    return f"{account_name(account)}/withdrawals/{withdrawal}"
