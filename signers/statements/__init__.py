"""The shared core: what is signed, how it is encoded, and when it counts.

Everything that authorises or attests is a *statement*: a typed JSON object in the canonical form of RFC 8785,
carried in a DSSE envelope. This package is pure: no clock, no network, no disk.
"""
