"""Answers in XML, by S3's model: names, lists, namespaces and moments are its business.

A member that the model does not have is a KeyError, so that a misspelt one does not get past any test.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from services.sdk.aws.model import load_model
from services.sdk.aws.protocols import Codec, codec_for


def render_answer(operation: str, result: Mapping[str, Any]) -> bytes:
    """The body of that operation's answer."""
    body = _codec().serialize(operation, result, "").body
    if not isinstance(body, bytes):
        raise TypeError(f"{operation} answers with a stream")
    return body


@cache
def _codec() -> Codec:
    return codec_for(load_model("s3"), "rest-xml")
