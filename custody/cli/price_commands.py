"""`bailee price`: what the policy's publishers signed."""

from typing import Annotated

import typer

from custody.cli.context import Context, command
from custody.cli.faults import UsageError
from custody.cli.quantities import parse_price, value_text
from custody.cli.resources import last_id
from custody.cli.statement_view import statement_json, when
from custody.client import as_json
from signers.statements.amounts import Asset

app = typer.Typer(no_args_is_help=True, help="Prices, signed by publishers outside of custody.")


@command(app, "publish")
async def publish(
    context: Context,
    btc: Annotated[str | None, typer.Option("--btc", help="Price of 1 BTC in the policy's currency.")] = None,
    eth: Annotated[str | None, typer.Option("--eth", help="Price of 1 ETH in the policy's currency.")] = None,
) -> None:
    """Sign what you observe now and hand it in (publisher)."""
    given = {Asset.BTC: btc, Asset.ETH: eth}
    prices = {asset: parse_price(text) for asset, text in given.items() if text is not None}
    if not prices:
        raise UsageError("give --btc, --eth or both")
    async with context.connect() as link:
        published = [as_json(resource) for resource in await link.publisher().publish(prices)]
        currency = link.trust.policy.prices.currency
    context.output.listing(
        "prices",
        published,
        {
            "price": lambda price: last_id(price["name"]),
            "of one coin": lambda price: value_text(int(price["units"]), currency),
            "sequence": lambda price: price["publisher_sequence"],
            "digest": lambda price: price["statement_digest"],
        },
    )


@command(app, "list")
async def list_prices(context: Context) -> None:
    """List the latest prices, each verified by its publisher's key."""
    async with context.connect() as link:
        prices = await link.reader().verified_prices()
    context.output.listing(
        "prices",
        prices,
        {
            "publisher": lambda price: price.publisher,
            "asset": lambda price: price.asset,
            "price": lambda price: value_text(price.price, price.currency),
            "observed": lambda price: when(price.at),
            "digest": lambda price: price.digest,
        },
        document=statement_json,
    )
