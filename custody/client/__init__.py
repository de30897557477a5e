"""The SDK of those who use a custody service: margin engines, pledgors, approvers, publishers, custodians.

It trusts nothing that custody says. What can be verified is verified before it is returned: account
statements against the policy, reports against their signed root. What is signed here is first decoded and
compared with what its signer asked for. Needs `bailee[client]`.
"""

from custody.client.approver import Approver
from custody.client.connection import Connection, Credentials
from custody.client.custodian import Custodian
from custody.client.errors import BaileeError, VerificationError
from custody.client.key_files import load_key, new_key
from custody.client.margin_engine import MarginEngine
from custody.client.pledgor import Pledgor
from custody.client.publisher import Publisher
from custody.client.reader import Reader
from custody.client.trust import TrustRoot

__all__ = [
    "Approver",
    "BaileeError",
    "Connection",
    "Credentials",
    "Custodian",
    "MarginEngine",
    "Pledgor",
    "Publisher",
    "Reader",
    "TrustRoot",
    "VerificationError",
    "load_key",
    "new_key",
]
