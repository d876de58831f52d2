"""The masking of what clients send (RFC 6455 section 5.3). Hot: every byte a client sends goes through here.

XOR of two Python ints costs 0.2 µs and 1.4 ns a byte, conversions included, above 100 kB 2.4 ns. Four strided
translations cost 0.7 µs and 0.85 ns a byte (1.5 ns where the cache ends). They meet near 1,000 bytes.
"""

from __future__ import annotations

_TRANSLATE_FROM = 1_000
_XOR = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
_int = int.from_bytes

# A key, as a little-endian int, times REPEAT[n] is that key repeated over n bytes or up to three more: cheaper than the
# same with bytes. Only for the frames that ``frames`` unmasks in place.
REPEAT = [_int(b"\1\0\0\0" * (length + 3 >> 2), "little") for length in range(126)]


def unmask(key: bytes, payload: bytes) -> bytes:
    """``payload`` XOR the four bytes of ``key`` over and over (section 5.3); its own inverse."""
    length = len(payload)
    if length < _TRANSLATE_FROM:
        pad = (key * (length + 3 >> 2))[:length]
        return (_int(payload, "little") ^ _int(pad, "little")).to_bytes(length, "little")
    plain = bytearray(payload)
    plain[0::4] = plain[0::4].translate(_XOR[key[0]])
    plain[1::4] = plain[1::4].translate(_XOR[key[1]])
    plain[2::4] = plain[2::4].translate(_XOR[key[2]])
    plain[3::4] = plain[3::4].translate(_XOR[key[3]])
    return bytes(plain)
