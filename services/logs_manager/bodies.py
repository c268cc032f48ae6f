"""Bodies that came compressed."""

from __future__ import annotations

import zlib

from crds.errors import BadRequest, TooLarge, UnsupportedMedia

MOST_RAW = 16 << 20


def unpacked(body: bytes, coding: str | None, most: int = MOST_RAW) -> bytes:
    """What gzip packed, or what was not packed: at most so many bytes. Raises UnsupportedMedia, BadRequest,
    TooLarge.
    """
    coding = (coding or "identity").lower()
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
