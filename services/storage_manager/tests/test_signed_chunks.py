"""The worked example of the S3 API reference ("transferring payload in multiple chunks"), bit for bit."""

from __future__ import annotations

import hashlib
import hmac
from functools import reduce

import pytest

from services.storage_manager.aws_chunked import Decoder, Signing
from services.storage_manager.errors import S3Error

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    (b"a" * 65536, b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
RAW = b"".join(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(body), sign, body) for body, sign in CHUNKS)


def decoder() -> Decoder:
    steps = (b"20130524", b"us-east-1", b"s3", b"aws4_request")
    secret = b"AWS4" + b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    key = reduce(lambda k, step: hmac.new(k, step, hashlib.sha256).digest(), steps, secret)
    return Decoder(Signing(key, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", SEED), False)


def test_the_documented_example() -> None:
    each = decoder()
    assert each.feed(RAW) == b"a" * 66560
    each.finish()


def test_another_payload_is_refused() -> None:
    with pytest.raises(S3Error, match="signature"):
        decoder().feed(RAW.replace(b"aaa\r\n", b"aab\r\n"))
