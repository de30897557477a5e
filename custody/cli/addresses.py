"""Addresses as people write them. What decides is the script or the twenty bytes; text is derived here.

Sources: BIP-173 and BIP-350 (bech32, bech32m), Base58Check, EIP-55.
"""

from typing import Final

from embit import base58, bech32
from eth_hash.auto import keccak

from custody.cli.faults import UsageError
from signers.statements.allowlist import BitcoinDestination, Destination, EthereumDestination
from signers.statements.identifiers import EthereumAddress, ScriptPubKey
from signers.statements.network import Network

_BASE58_VERSIONS: Final = {
    Network.MAINNET: (b"\x00", b"\x05"),
    Network.TESTNET: (b"\x6f", b"\xc4"),
    Network.REGTEST: (b"\x6f", b"\xc4"),
}
"""Of P2PKH and of P2SH."""

_P2PKH: Final = (bytes.fromhex("76a914"), bytes.fromhex("88ac"))
_P2SH: Final = (bytes.fromhex("a914"), bytes.fromhex("87"))
_OP_1_LESS_1: Final = 0x50


def bitcoin_text(script: ScriptPubKey, network: Network) -> str:
    """The address of an output script, or the script itself where it has none."""
    raw = script.raw
    version, program = raw[0], raw[2:]
    if 4 <= len(raw) <= 42 and raw[1] == len(program) and (version == 0 or 0x51 <= version <= 0x60):
        witness_version = version - _OP_1_LESS_1 if version else 0
        return str(bech32.encode(network.bech32_prefix, witness_version, list(program)) or script)
    for (head, tail), prefix in zip((_P2PKH, _P2SH), _BASE58_VERSIONS[network], strict=True):
        if len(raw) == len(head) + 20 + len(tail) and raw.startswith(head) and raw.endswith(tail):
            return str(base58.encode_check(prefix + raw[len(head) : len(head) + 20]))
    return script


def ethereum_text(address: EthereumAddress) -> str:
    """With the mixed-case checksum of EIP-55."""
    digest = keccak(address.encode()).hex()
    return "0x" + "".join(
        c.upper() if int(d, 16) >= 8 else c for c, d in zip(address, digest[:40], strict=True)
    )


def destination_text(destination: Destination, network: Network) -> str:
    """A destination as people write it."""
    if isinstance(destination, BitcoinDestination):
        return bitcoin_text(destination.script_pubkey, network)
    return ethereum_text(destination.address)


def destination_raw(destination: Destination) -> str:
    """A destination as it is signed."""
    return destination.script_pubkey if isinstance(destination, BitcoinDestination) else destination.address


def parse_destination(text: str, network: Network) -> Destination:
    """An address, read and written back: only its one spelling for this network passes.

    Raises:
        UsageError: another network's, a wrong checksum, or no address.
    """
    if text.startswith("0x"):
        return EthereumDestination(address=parse_ethereum(text))
    return BitcoinDestination(script_pubkey=parse_bitcoin(text, network))


def parse_bitcoin(text: str, network: Network) -> ScriptPubKey:
    """The output script of an address. Raises `UsageError` as `parse_destination`."""
    script = _witness_script(text, network) or _base58_script(text, network)
    # The libraries are lenient in corners; an address that is not what we would write is refused.
    if script is None or bitcoin_text(script, network) not in (text, text.lower()):
        raise UsageError(f"{text!r} is no Bitcoin address of {network}")
    return script


def parse_ethereum(text: str) -> EthereumAddress:
    """The twenty bytes of an address with its checksum, or all in lower case. Raises `UsageError`."""
    try:
        address = EthereumAddress(text.removeprefix("0x").lower())
    except ValueError as error:
        raise UsageError(f"{text!r} is no Ethereum address") from error
    if text not in (ethereum_text(address), f"0x{address}"):
        raise UsageError(f"{text!r} has a wrong checksum (EIP-55)")
    return address


def _witness_script(text: str, network: Network) -> ScriptPubKey | None:
    version, program = bech32.decode(network.bech32_prefix, text)
    if version is None:
        return None
    opcode = version + _OP_1_LESS_1 if version else 0
    return ScriptPubKey(bytes([opcode, len(program), *program]).hex())


def _base58_script(text: str, network: Network) -> ScriptPubKey | None:
    try:
        raw = base58.decode_check(text)
    except ValueError:
        return None
    for (head, tail), prefix in zip((_P2PKH, _P2SH), _BASE58_VERSIONS[network], strict=True):
        if len(raw) == 21 and raw.startswith(prefix):
            return ScriptPubKey((head + raw[1:] + tail).hex())
    return None
