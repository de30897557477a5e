"""The SDK of those who use a custody service: margin engines, pledgors, approvers, publishers, custodians.

What can be verified of custody's word is verified before it is returned: account statements against the
policy, reports against their signed root, their own arithmetic and the liens that were signed here, prices
against their publishers. How many coins there are cannot be: quantities are custody's word. What is signed
here is first decoded, compared with what its signer asked for, and written down. Needs `bailee[client]`.
"""

from custody.client.agreement import Agreement
from custody.client.approver import Approver
from custody.client.as_json import as_json
from custody.client.connection import Connection, Credentials
from custody.client.custodian import Custodian
from custody.client.errors import BaileeError, VerificationError
from custody.client.events import CollateralEvent, EventKind
from custody.client.key_files import load_key, new_key
from custody.client.margin_engine import MarginEngine
from custody.client.pledgor import Pledgor
from custody.client.publisher import Publisher
from custody.client.reader import Reader, read_policy
from custody.client.signing_record import SigningRecord
from custody.client.trust import TrustRoot

__all__ = [
    "Agreement",
    "Approver",
    "BaileeError",
    "CollateralEvent",
    "Connection",
    "Credentials",
    "Custodian",
    "EventKind",
    "MarginEngine",
    "Pledgor",
    "Publisher",
    "Reader",
    "SigningRecord",
    "TrustRoot",
    "VerificationError",
    "as_json",
    "load_key",
    "new_key",
    "read_policy",
]
