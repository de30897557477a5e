"""Which Bitcoin scripts coins may be paid to.

Sources: Bitcoin Core's `Solver` (P2PKH, P2SH), BIP-141 (P2WPKH, P2WSH), BIP-341 (P2TR).
"""

import re
from typing import Final

from signers.statements.identifiers import ScriptPubKey

_FORMS: Final = re.compile(
    rb"\x76\xa9\x14.{20}\x88\xac|\xa9\x14.{20}\x87|\x00\x14.{20}|\x00\x20.{32}|\x51\x20.{32}", re.DOTALL
)


def is_standard(script: ScriptPubKey) -> bool:
    """Whether it is P2PKH, P2SH, P2WPKH, P2WSH or P2TR.

    What pays to anything else is lost, not relayed, or anyone's: a witness program of a version that has no
    rules yet is spent without a signature.
    """
    return _FORMS.fullmatch(script.raw) is not None
