"""Who is who on the local network."""

from typing import Final

OPERATIONS: Final = "operations.custodian-one"
PLEDGOR: Final = "pledgor.client-one"
ENGINE: Final = "margin-engine.broker-one"
AUDITOR: Final = "auditor.auditor-one"
STRANGER: Final = "pledgor.client-two"
APPROVERS: Final = ("approver.custodian-one", "approver.trustee-one")
FEEDS: Final = ("feed.feed-one", "feed.feed-two", "feed.feed-three")
ADMINS: Final = ("admin.custodian-one", "admin.trustee-one")
