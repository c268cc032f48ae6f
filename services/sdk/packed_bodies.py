"""Bodies of requests that came compressed: gzip, as a content-encoding, and snappy's block format.

Nothing is unpacked beyond `most` bytes, whatever a few of them would become.
"""

from __future__ import annotations

import zlib

from crds.errors import BadRequest, TooLarge, UnsupportedMedia


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """What gzip packed, or, where `coding` is identity, what was not packed. Raises UnsupportedMedia, BadRequest,
    TooLarge.
    """
    coding = coding.lower()
    if coding == "identity":
        return body
    if coding != "gzip":
        raise UnsupportedMedia(f"content-encoding: gzip is understood, {coding[:40]} is not")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(body, most)
    except zlib.error:
        raise BadRequest("the body is not gzip") from None
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise TooLarge(f"the body has more than {most} bytes, or ends in the middle")
    return found


def unpacked_snappy(body: bytes, most: int) -> bytes:
    """Of the block format, without frames. Raises BadRequest."""
    import cramjam

    if _said_size(body) > most:
        raise BadRequest(f"the request has more than {most} bytes")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except Exception:
        raise BadRequest("the body is not in snappy's block format") from None


def _said_size(body: bytes) -> int:
    """What the first bytes say the content's size is; 0 where they say none."""
    size = 0
    for i, byte in enumerate(body[:10]):
        size |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return size
    return 0
