"""What the three parties agreed outside of this software, and look for in the account statement."""

from dataclasses import dataclass

from custody.client.errors import VerificationError
from signers.statements.account import Account, Enforcement, Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The terms of one control agreement, exchanged between the parties and never taken from custody.

    Keys belong to it: whoever could put its own key beside a party's name could sign that party's releases.
    """

    pledgor: Party
    secured_party: Party
    custodian: Party
    enforcement: Enforcement

    def require(self, statement: Account) -> None:
        """Compare an account statement with the agreement.

        Raises:
            VerificationError: it says something else; the message names what.
        """
        for name in ("pledgor", "secured_party", "custodian", "enforcement"):
            says, agreed = getattr(statement, name), getattr(self, name)
            if says != agreed:
                raise VerificationError(f"the statement's {name} is {says}, where {agreed} was agreed")
