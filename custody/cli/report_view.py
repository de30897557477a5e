"""A verified report for people, with the evidence it cites."""

from collections.abc import Mapping
from typing import Any

from custody.cli.quantities import amount_text, value_text
from custody.cli.statement_view import statement_json, when
from signers.statements.amounts import Asset
from signers.statements.price import Price
from signers.statements.report import AssetPosition, Report

Evidence = Mapping[Asset, tuple[Price, ...]]


def report_json(report: Report, evidence: Evidence | None = None) -> dict[str, Any]:
    """The report statement, and the price statements that its median was repeated from."""
    document = statement_json(report)
    if evidence is not None:
        document["prices"] = {
            asset.value: [statement_json(price) for price in prices] for asset, prices in evidence.items()
        }
    return document


def report_pairs(report: Report, evidence: Evidence) -> dict[str, object]:
    """Line by line: quantities, what they are worth, and where it was seen."""
    pairs: dict[str, object] = {
        "account": report.account,
        "at": when(report.at),
        "account sequence": report.account_sequence,
        "halted": "YES: nothing is lent against it" if report.halted else "no",
        "encumbrances": f"{report.encumbrance_sequence}, head {report.encumbrance_head}",
        "ethereum key": report.ethereum_custody,
        "policy": report.policy_digest,
    }
    for position in report.positions:
        pairs |= _position_pairs(position, report.currency, evidence.get(position.asset, ()))
    pairs["verified"] = "attestation key, Merkle path, and every value repeated from its parts"
    return pairs


def _position_pairs(position: AssetPosition, currency: str, prices: tuple[Price, ...]) -> dict[str, object]:
    asset, price = position.asset, position.price
    chain = "tip" if asset is Asset.BTC else "finalised"
    repeated = (
        f"median repeated from {', '.join(p.publisher for p in prices)}"
        if prices
        else "the prices it cites are no longer the latest"
    )
    amounts = {
        name: amount_text(getattr(position, name))
        for name in (
            "confirmed",
            "pending",
            "reserved",
            "posted",
            "withdrawing",
            "leaving",
            "free",
            "shortfall",
        )
    }
    return {
        **{f"{asset} {name}": text for name, text in amounts.items()},
        f"{asset} price": "none" if price is None else f"{value_text(price, currency)}, {position.status}",
        f"{asset} price evidence": f"{position.price_set}, {position.price_sources} sources, {repeated}",
        f"{asset} haircut": f"{position.haircut_bps / 100:.2f} %",
        f"{asset} market value": value_text(position.market_value, currency),
        f"{asset} lending value": value_text(position.lending_value, currency),
        f"{asset} capital value": value_text(position.capital_value, currency),
        f"{asset} {chain}": f"{position.seen_at.height} {position.seen_at.block_hash}",
    }
