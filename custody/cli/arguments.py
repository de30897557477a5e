"""Arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
DestinationArgument = Annotated[str, typer.Argument(metavar="DESTINATION", help="The destination's id.")]
LienArgument = Annotated[str, typer.Argument(metavar="LIEN", help="The lien's id.")]
WithdrawalArgument = Annotated[str, typer.Argument(metavar="WITHDRAWAL", help="The withdrawal's id.")]
AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="A Bitcoin address of the network, or 0x and 40 hex digits.")
]
AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="With its unit: 0.5BTC, 50000000sat, 1.25ETH, 7wei.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Also write the signed statement here, to keep or hand on.")
]
DigestOption = Annotated[
    str | None,
    typer.Option("--digest", help="Sign only what has this digest, and ask nobody: for scripts."),
]
