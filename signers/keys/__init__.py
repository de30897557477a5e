"""Signing keys: made here, at rest only as ciphertext of this signer's OpenBao, used in locked memory."""
