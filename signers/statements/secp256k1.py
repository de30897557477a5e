"""The curve of both chains' keys (SEC 2, section 2.4.1)."""

from typing import Final

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""n: private keys, r and s are below it."""

HALF_ORDER: Final = ORDER // 2
"""A signature with another s is a second spelling: neither chain relays it (BIP-146, EIP-2)."""
