"""Owners of destinations: each signs a BIP-322 message for its own kind of script."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from bip322core import build_to_sign, build_to_spend, encode_full, encode_simple
from embit.ec import PrivateKey
from embit.script import Script, Witness, p2pkh, p2sh, p2tr, p2wpkh, p2wsh
from embit.transaction import SIGHASH, Transaction

from signers.bitcoin.sign import PartialSignatures, multisig_witness, witness_signature
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.identifiers import Proof, ScriptPubKey

KEY = PrivateKey(b"\x11" * 32)
SINGLE = Script(bytes([33]) + KEY.get_public_key().sec() + b"\xac")


def _ecdsa(digest: bytes) -> bytes:
    return bytes(KEY.sign(digest).serialize()) + bytes([SIGHASH.ALL])


def _p2wpkh_witness(tx: Transaction) -> list[bytes]:
    code = p2pkh(KEY.get_public_key())
    return [_ecdsa(tx.sighash_segwit(0, code, 0)), KEY.get_public_key().sec()]


def _p2wsh_witness(tx: Transaction) -> list[bytes]:
    return [_ecdsa(tx.sighash_segwit(0, SINGLE, 0)), SINGLE.data]


def _p2tr_witness(tx: Transaction) -> list[bytes]:
    digest = tx.sighash_taproot(0, [p2tr(KEY)], [0])
    return [KEY.taproot_tweak(b"").schnorr_sign(digest).serialize()]


@dataclass(frozen=True)
class Owner:
    """Someone who can spend from a script."""

    script: ScriptPubKey
    witness: Callable[[Transaction], list[bytes]] | None
    script_sig: Callable[[Transaction], bytes]

    def simple(self, message: str) -> Proof:
        unsigned = build_to_sign(self._to_spend(message))
        assert self.witness is not None
        return Proof(encode_simple(self.witness(unsigned)))

    def full(self, message: str, *, lock_time: int = 0, sequence: int = 0) -> Proof:
        to_sign = build_to_sign(self._to_spend(message), locktime=lock_time, sequence=sequence)
        script_sig = self.script_sig(to_sign)
        witness = self.witness(to_sign) if self.witness else []
        to_sign.vin[0].script_sig, to_sign.vin[0].witness = Script(script_sig), Witness(witness)
        return Proof(encode_full(to_sign))

    def _to_spend(self, message: str) -> bytes:
        return bytes(build_to_spend(message.encode(), self.script.raw).txid())


def _none(_: Transaction) -> bytes:
    return b""


def _p2pkh_script_sig(tx: Transaction) -> bytes:
    signature = _ecdsa(tx.sighash_legacy(0, p2pkh(KEY.get_public_key())))
    public = bytes(KEY.get_public_key().sec())
    return bytes([len(signature)]) + signature + bytes([len(public)]) + public


def _push_program(_: Transaction) -> bytes:
    program = p2wpkh(KEY).data
    return bytes([len(program)]) + bytes(program)


def _text(script: Script) -> ScriptPubKey:
    return ScriptPubKey(script.data.hex())


P2WPKH = Owner(_text(p2wpkh(KEY)), _p2wpkh_witness, _none)
P2WSH = Owner(_text(p2wsh(SINGLE)), _p2wsh_witness, _none)
P2TR = Owner(_text(p2tr(KEY)), _p2tr_witness, _none)
P2PKH = Owner(_text(p2pkh(KEY.get_public_key())), None, _p2pkh_script_sig)
P2SH_P2WPKH = Owner(_text(p2sh(p2wpkh(KEY))), _p2wpkh_witness, _push_program)


def _keyless(script: Script, *unlocking: bytes) -> Owner:
    return Owner(_text(p2wsh(script)), lambda _: [*unlocking, script.data], _none)


_PREIMAGE = b"\x22" * 32
_HASH = hashlib.sha256(_PREIMAGE).digest()
KEYLESS = {
    "true": _keyless(Script(b"\x51")),
    "preimage": _keyless(Script(b"\xa8\x20" + _HASH + b"\x87"), _PREIMAGE),
    "no signature": _keyless(Script(SINGLE.data + b"\x91"), b""),
}
"""Whoever knows these scripts can spend from them: nobody holds a key."""


def account_proof(account: Account, first: PartialSignatures, second: PartialSignatures) -> Proof:
    """What custody joins two signers' halves to: the "simple" form, signatures in the order of the keys."""
    by_key = sorted((first, second), key=lambda half: half.public_key)
    signatures = [witness_signature(half.signatures[0]) for half in by_key]
    script = multisig.witness_script(account.bitcoin.keys)
    return Proof(encode_simple(multisig_witness(signatures, script)))


NATIVE = {"p2wpkh": P2WPKH, "p2wsh": P2WSH, "p2tr": P2TR}
EVERY = {**NATIVE, "p2pkh": P2PKH, "p2sh-p2wpkh": P2SH_P2WPKH}
