"""Report messages, made once for each account and batch however often they are read."""

from bailee.custody.v1.collateral_report_pb2 import CollateralReport

from custody.application.ports.store import SignedReport
from custody.rpc.codec import accounts as codec
from signers.statements.identifiers import AccountId


class Reports:
    """The latest message of every account. Messages are shared: nobody changes one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._messages: dict[AccountId, tuple[SignedReport, CollateralReport]] = {}

    def message(self, report: SignedReport) -> CollateralReport:
        """The message of this report."""
        known = self._messages.get(report.account)
        if known is not None and known[0] is report:
            return known[1]
        message = codec.report(report)
        self._messages[report.account] = (report, message)
        return message
