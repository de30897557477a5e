"""Addresses as people write them. For display: nothing is ever decided by them, or parsed from them.

Sources: BIP-173 and BIP-350 (bech32, bech32m), BIP-380 (descriptor checksum), EIP-55.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from bitcoin.base58 import CBase58Data
from eth_utils.address import to_checksum_address

from signers.statements.identifiers import EthereumAddress, ScriptPubKey
from signers.statements.network import Network

_BECH32_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANT: Final = 1
_BECH32M_CONSTANT: Final = 0x2BC830A3

_DESCRIPTOR_CHARSET: Final = (
    "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
)
_DESCRIPTOR_GENERATORS: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)

_P2PKH: Final = (bytes.fromhex("76a914"), bytes.fromhex("88ac"))
_P2SH: Final = (bytes.fromhex("a914"), bytes.fromhex("87"))


def ethereum(address: EthereumAddress) -> str:
    """With 0x and the checksum of EIP-55."""
    return str(to_checksum_address("0x" + address))


def bitcoin(script: ScriptPubKey, network: Network) -> str:
    """The address of a standard output script; empty for one that has none."""
    raw = script.raw
    if len(raw) == 25 and raw.startswith(_P2PKH[0]) and raw.endswith(_P2PKH[1]):
        return str(CBase58Data.from_bytes(raw[3:23], 0 if network is Network.MAINNET else 111))
    if len(raw) == 23 and raw.startswith(_P2SH[0]) and raw.endswith(_P2SH[1]):
        return str(CBase58Data.from_bytes(raw[2:22], 5 if network is Network.MAINNET else 196))
    version = _witness_version(raw)
    return "" if version is None else _segwit(network.bech32_prefix, version, raw[2:])


def _witness_version(raw: bytes) -> int | None:
    """BIP-141: one version opcode, then one direct push of 2 to 40 bytes that ends the script."""
    if not 4 <= len(raw) <= 42 or raw[1] != len(raw) - 2:
        return None
    if raw[0] == 0:
        return 0 if len(raw) in {22, 34} else None
    return raw[0] - 0x50 if 0x51 <= raw[0] <= 0x60 else None


def _segwit(prefix: str, version: int, program: bytes) -> str:
    values = [version, *_five_bits(program)]
    constant = _BECH32_CONSTANT if version == 0 else _BECH32M_CONSTANT
    expanded = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]
    check = _polymod([*expanded, *values, *[0] * 6], 25, _BECH32_GENERATORS) ^ constant
    values += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(_BECH32_CHARSET[value] for value in values)


def _five_bits(program: bytes) -> list[int]:
    """Groups of five bits, the last one padded with zeros."""
    bits = "".join(f"{byte:08b}" for byte in program)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[start : start + 5], 2) for start in range(0, len(bits), 5)]


def with_checksum(descriptor: str) -> str:
    """An output descriptor with the eight characters that BIP-380 appends."""
    symbols: list[int] = []
    groups: list[int] = []
    for character in descriptor:
        value = _DESCRIPTOR_CHARSET.index(character)
        symbols.append(value & 31)
        groups.append(value >> 5)
        if len(groups) == 3:
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups = []
    if groups:
        symbols.append(groups[0] if len(groups) == 1 else groups[0] * 3 + groups[1])
    check = _polymod([*symbols, *[0] * 8], 35, _DESCRIPTOR_GENERATORS) ^ 1
    return f"{descriptor}#{''.join(_BECH32_CHARSET[check >> 5 * (7 - place) & 31] for place in range(8))}"


def _polymod(values: Iterable[int], kept_bits: int, generators: Sequence[int]) -> int:
    """The remainder of both BCH codes, which differ in width and generator only."""
    check = 1
    for value in values:
        top = check >> kept_bits
        check = (check & ((1 << kept_bits) - 1)) << 5 ^ value
        for place, generator in enumerate(generators):
            check ^= generator if top >> place & 1 else 0
    return check
