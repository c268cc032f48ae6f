"""The form of an answer: whole objects, rows of a table, or only their metadata. Chosen by Accept.

Accept is read from left to right; the first entry that can be made wins, unknown ones are passed over.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from crds.errors import NotAcceptable

Form = Literal["object", "table", "metadata"]
_FORMS: dict[str, Form] = {
    "": "object",
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
_JSON = frozenset({"application/json", "application/*", "*/*"})


@lru_cache(maxsize=256)  # clients send few different ones, again and again
def form_of(accept: str) -> Form:
    """Raises NotAcceptable when nothing in `accept` can be made."""
    for part in accept.split(",") if accept else ["*/*"]:
        type_, *options = (option.strip() for option in part.split(";"))
        named = dict(option.split("=", 1) for option in options if "=" in option)
        as_ = named.get("as", "")
        known_version = not as_ or named.get("v") in ("v1", "v1beta1")
        if type_ in _JSON and as_ in _FORMS and known_version:
            return _FORMS[as_]
    raise NotAcceptable("only the following media types are accepted: application/json")
