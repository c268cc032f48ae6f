"""The revision a client wants to read at, and how it goes on with the next page of a long list.

Source: Kubernetes API concepts, "Resource versions" and "Retrieving large results sets in chunks".
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import orjson

from api.kube.request import ApiRequest, as_count
from controller.store.records import Record
from crds.errors import BadRequest, Cause, Invalid, Timeout

INITIAL_EVENTS = "sendInitialEvents"
_MATCH = "resourceVersionMatch"


class ListPosition(NamedTuple):
    """The position of a read: at that revision (0: the newest), behind that (namespace, name) if one is given."""

    revision: int
    after: tuple[str, str] | None


def list_place(ask: ApiRequest, newest: int) -> ListPosition:
    """Raises BadRequest, Invalid for parameters that do not go together, Timeout for a revision yet to come."""
    version, match = as_count(ask.params, "resourceVersion"), ask.params.get(_MATCH, "")
    if ask.params.get(INITIAL_EVENTS):
        raise _forbidden(INITIAL_EVENTS, "sendInitialEvents is forbidden for list")
    if token := ask.params.get("continue", ""):
        if version or match:
            raise _forbidden(_MATCH, "a list that is continued has its revision already")
        place = _read_token(token)
        if place.revision > newest:
            raise BadRequest("continue key is not valid; start the list again without it")
        return place
    _check_match(match, version)
    refuse_future(version or 0, newest)
    # A limit with a revision and no match means exactly that revision: so it was before there was a match.
    exactly = match == "Exact" or (not match and bool(ask.params.get("limit")))
    return ListPosition(version or 0 if exactly else 0, None)


def refuse_future(version: int, newest: int) -> None:
    """Raises Timeout in the words by which clients know that they are ahead of this store."""
    if version > newest:
        cause = Cause("", "Too large resource version", "ResourceVersionTooLarge")
        text = f"Timeout: Too large resource version: {version}, current: {newest}"
        raise Timeout(text, causes=(cause,), retry_after=1)


def wants_initial_events(ask: ApiRequest) -> bool:
    """Whether a watch is to begin with everything that is there. Raises Invalid for half a wish."""
    given, match = ask.params.get(INITIAL_EVENTS, ""), ask.params.get(_MATCH, "")
    if not given:
        if match:
            raise _forbidden(
                _MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
        return False
    if match != "NotOlderThan":
        raise _forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    return ask.flag(INITIAL_EVENTS)


def write_token(revision: int, last: Record) -> str:
    """What a client sends to get the page behind `last`."""
    return _token(revision, last.key.namespace, last.key.name)


def newest_token(after: tuple[str, str]) -> str:
    """What a client may send to go on behind `after` with what is there now."""
    return _token(0, *after)


def _token(revision: int, namespace: str, name: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, namespace, name])).decode()


def _read_token(token: str) -> ListPosition:
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
        return ListPosition(int(revision), (str(namespace), str(name)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest("continue key is not valid; start the list again without it") from error


def _check_match(match: str, version: int | None) -> None:
    if not match:
        return
    if match not in ("Exact", "NotOlderThan"):
        raise _forbidden(_MATCH, f"Unsupported value: {match!r}: supported values: Exact, NotOlderThan")
    if version is None:
        raise _forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match == "Exact" and version == 0:
        raise _forbidden(_MATCH, "resourceVersionMatch Exact is forbidden for resourceVersion 0")


def _forbidden(field: str, message: str) -> Invalid:
    return Invalid(f"ListOptions is invalid: {field}: {message}", causes=(Cause(field, message),))
