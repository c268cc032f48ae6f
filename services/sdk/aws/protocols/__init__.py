"""The wire protocols of AWS, each made from a service model: see `codec`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.codec import Codec
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse

__all__ = ["Codec", "HttpRequest", "HttpResponse", "chosen_codec", "codec_for", "codecs_for"]
# Loaded when they are spoken: a service starts within a second.
_CODECS = {
    "json": ("json_codec", "JsonCodec"),
    "query": ("query_codec", "QueryCodec"),
    "rest-json": ("rest_json_codec", "RestJsonCodec"),
    "rest-xml": ("rest_xml_codec", "RestXmlCodec"),
    "smithy-rpc-v2-cbor": ("cbor_codec", "CborCodec"),
}
_FORM = "application/x-www-form-urlencoded"


def codec_for(model: ServiceModel, protocol: str = "", operations: Iterable[str] | None = None) -> Codec:
    """The codec of that protocol, or of the model's own. Raises LookupError for one that is not spoken."""
    wanted = protocol or str(model.metadata["protocol"])
    if wanted not in _CODECS:
        raise LookupError(f"{wanted} is not one of {', '.join(_CODECS)}")
    module, name = _CODECS[wanted]
    found: type[Codec] = getattr(import_module(f"{__name__}.{module}"), name)
    return found(model, operations)


def codecs_for(
    model: ServiceModel, operations: Iterable[str] | None = None, protocols: Iterable[str] = ()
) -> dict[str, Codec]:
    """A codec for each of the protocols: those the model lists, its own first, unless others are named."""
    served = None if operations is None else tuple(operations)
    listed = (str(model.metadata["protocol"]), *model.metadata.get("protocols", ()))
    names = dict.fromkeys(tuple(protocols) or (each for each in listed if each in _CODECS))
    return {name: codec_for(model, name, served) for name in names}


def chosen_codec(codecs: dict[str, Codec], request: HttpRequest) -> Codec:
    """The codec whose marks a request carries, else the first."""
    if len(codecs) > 1:
        for name, is_marked in _marks(request):
            if is_marked and name in codecs:
                return codecs[name]
    return next(iter(codecs.values()))


def _marks(request: HttpRequest) -> tuple[tuple[str, bool], ...]:
    headers = request.headers
    return (
        ("smithy-rpc-v2-cbor", headers.get("smithy-protocol") == "rpc-v2-cbor"),
        ("json", "x-amz-target" in headers),
        ("query", headers.get("content-type", "").startswith(_FORM) or "Action=" in request.query),
    )
