"""Members of a query and of a form together, for protocols of others: what is not known is refused."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from crds.errors import BadRequest, UnsupportedMedia
from services.sdk.asgi import Scope, header_of, media_type

MOST_LIST = 64
_MOST = 256


class QueryMembers:
    """`lists`: which may stand there more than once. Raises BadRequest for members that are not understood, and for
    others that stand there twice.
    """

    def __init__(self, query: bytes, form: bytes, known: Collection[str], lists: Collection[str] = ()) -> None:
        self._found: dict[str, list[str]] = {}
        for name, value in [*_pairs(query), *_pairs(form)]:
            self._found.setdefault(name, []).append(value)
        if unknown := sorted(set(self._found) - set(known) - set(lists)):
            raise BadRequest(
                f"not understood here: {', '.join(unknown)}; known: {', '.join(sorted({*known, *lists}))}"
            )
        if twice := [name for name, values in self._found.items() if len(values) > 1 and name not in lists]:
            raise BadRequest(f"{twice[0]}: stands there twice")

    def value(self, name: str, default: str = "") -> str:
        """`default` where it is not there."""
        return self._found.get(name, [default])[0]

    def list(self, name: str) -> list[str]:
        """Raises BadRequest for too many."""
        found = self._found.get(name, [])
        if len(found) > MOST_LIST:
            raise BadRequest(f"{name}: at most {MOST_LIST} of them")
        return found


def require_form(scope: Scope, body: bytes) -> None:
    """Raises UnsupportedMedia for a body that is no form."""
    sent = media_type(header_of(scope, "content-type"))
    if body and sent != "application/x-www-form-urlencoded":
        raise UnsupportedMedia(f"a query is sent as application/x-www-form-urlencoded, not as {sent or 'nothing'}")


def _pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        raise BadRequest("the query, or the form, is not readable") from None
