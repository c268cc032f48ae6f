"""The wire protocols of AWS, each made from a service model: see `codec`."""

from __future__ import annotations

from collections.abc import Iterable

from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.cbor_codec import NAME, SMITHY, CborCodec
from services.sdk.aws.protocols.codec import Codec
from services.sdk.aws.protocols.json_codec import JsonCodec
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse
from services.sdk.aws.protocols.query_codec import FORM, QueryCodec
from services.sdk.aws.protocols.rest_codec import RestJsonCodec, RestXmlCodec

__all__ = ["Codec", "HttpRequest", "HttpResponse", "chosen_codec", "codec_for", "codecs_for"]
_CODECS: dict[str, type[Codec]] = {
    each.protocol: each for each in (JsonCodec, QueryCodec, RestJsonCodec, RestXmlCodec, CborCodec)
}


def codec_for(model: ServiceModel, protocol: str = "", operations: Iterable[str] | None = None) -> Codec:
    """The codec of that protocol, or of the model's own. Raises LookupError for one that is not spoken."""
    wanted = protocol or str(model.metadata["protocol"])
    if wanted not in _CODECS:
        raise LookupError(f"{wanted} is not one of {', '.join(_CODECS)}")
    return _CODECS[wanted](model, operations)


def codecs_for(model: ServiceModel, operations: Iterable[str] | None = None) -> dict[str, Codec]:
    """A codec for every protocol the model lists, the model's own first."""
    own = str(model.metadata["protocol"])
    served = None if operations is None else tuple(operations)
    names = dict.fromkeys((own, *model.metadata.get("protocols", ())))
    return {name: codec_for(model, name, served) for name in names if name in _CODECS}


def chosen_codec(codecs: dict[str, Codec], request: HttpRequest) -> Codec:
    """The codec whose marks a request carries, else the first."""
    marks = {
        CborCodec.protocol: request.headers.get(SMITHY) == NAME,
        JsonCodec.protocol: "x-amz-target" in request.headers,
        QueryCodec.protocol: request.headers.get("content-type", "").startswith(FORM) or "Action=" in request.query,
    }
    return next((codecs[name] for name, is_marked in marks.items() if is_marked and name in codecs), None) or next(
        iter(codecs.values())
    )
