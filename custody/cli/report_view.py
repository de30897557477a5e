"""A verified report for people, with what this machine could repeat of it and what it could not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from custody.cli.quantities import amount_text, value_text
from custody.cli.statement_view import statement_json, when
from signers.statements.amounts import Asset
from signers.statements.identifiers import Value
from signers.statements.price import Price
from signers.statements.report import AssetPosition, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a reader found out about a report."""

    evidence: Mapping[Asset, tuple[Price, ...]]
    """The signed prices that each value was repeated from."""
    lending_values: Mapping[Asset, Value]
    """At the publishers' prices of this moment."""

    def unverified(self, report: Report) -> list[str]:
        """What stands in the report on custody's word alone."""
        prices = [p.asset for p in report.positions if p.price is not None and not self.evidence[p.asset]]
        return ["quantities", *(f"{asset} price" for asset in prices)]


def report_json(report: Report, findings: Findings | None = None) -> dict[str, Any]:
    """The report statement; with findings also price statements, values now, and what is unverified."""
    document = statement_json(report)
    if findings is not None:
        document |= {
            "prices": {
                asset.value: [statement_json(price) for price in prices]
                for asset, prices in findings.evidence.items()
            },
            "lending_values_now": {
                asset.value: str(value) for asset, value in findings.lending_values.items()
            },
            "not_verified": findings.unverified(report),
        }
    return document


def report_pairs(report: Report, findings: Findings) -> dict[str, object]:
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
        pairs |= _position_pairs(position, report.currency, findings)
    pairs["verified"] = "attestation key, Merkle path, every value from its quantity, price and haircut"
    pairs["NOT verified"] = (
        f"{', '.join(findings.unverified(report))}: custody's word; compare the addresses with your own node"
    )
    return pairs


def _position_pairs(position: AssetPosition, currency: str, findings: Findings) -> dict[str, object]:
    asset, price = position.asset, position.price
    chain = "tip" if asset is Asset.BTC else "finalised"
    prices = findings.evidence[asset]
    repeated = (
        f"price and status repeated from {', '.join(p.publisher for p in prices)}"
        if prices
        else "NOT VERIFIED: the prices it cites are no longer the latest"
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
        f"{asset} lending value now": f"{value_text(findings.lending_values[asset], currency)}, at the"
        " publishers' prices by this clock, less what was released here",
        f"{asset} capital value": value_text(position.capital_value, currency),
        f"{asset} {chain}": f"{position.seen_at.height} {position.seen_at.block_hash}",
    }
