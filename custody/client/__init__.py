"""The SDK of those who use a custody service: margin engines, pledgors, approvers, publishers, custodians.

What can be verified of custody's word is verified before it is returned: account statements against the
policy, reports against their signed root, their own arithmetic and the liens that were signed here, prices
against their publishers. How many coins there are cannot be: quantities are custody's word. What is signed
here is first decoded, compared with what its signer asked for, and written down. Needs `bailee[client]`.

A program imports from here alone. `Account`, `Lien`, `Withdrawal` and the other resources are messages of the
API as the service tells them; `AccountStatement`, `Intent`, `Report`, `Price` and `Receipt` are what people,
custody, publishers and signers signed.
"""

from bailee.custody.v1.account_pb2 import Account
from bailee.custody.v1.deposit_pb2 import Deposit
from bailee.custody.v1.destination_pb2 import Destination
from bailee.custody.v1.lien_pb2 import Lien
from bailee.custody.v1.posting_pb2 import Posting
from bailee.custody.v1.withdrawal_pb2 import Withdrawal

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
from custody.client.signing_record import SignedRelease, SigningRecord
from custody.client.trust import TrustRoot
from signers.statements.account import Account as AccountStatement
from signers.statements.account import Enforcement, Party
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.identifiers import (
    Digest,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    ScriptPubKey,
    Value,
)
from signers.statements.intent import Intent
from signers.statements.network import Network
from signers.statements.price import Price
from signers.statements.receipt import Receipt
from signers.statements.report import AssetPosition, Report, ValueStatus

__all__ = [
    "Account",
    "AccountStatement",
    "Agreement",
    "Amount",
    "Approver",
    "Asset",
    "AssetPosition",
    "BaileeError",
    "CollateralEvent",
    "Connection",
    "Credentials",
    "Custodian",
    "Deposit",
    "Destination",
    "Digest",
    "Ed25519Key",
    "Enforcement",
    "EntityId",
    "EthereumAddress",
    "EventKind",
    "Intent",
    "Lien",
    "MarginEngine",
    "Network",
    "Party",
    "Pledgor",
    "Posting",
    "Price",
    "Publisher",
    "Reader",
    "Receipt",
    "Report",
    "Sats",
    "ScriptPubKey",
    "SignedRelease",
    "SigningRecord",
    "TrustRoot",
    "Value",
    "ValueStatus",
    "VerificationError",
    "Wei",
    "Withdrawal",
    "as_json",
    "load_key",
    "new_key",
    "read_policy",
]
