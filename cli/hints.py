"""The next thing to try, for each reason the cloud has to say no.

A hint is given only where it fits the cause: most refusals say themselves what to do, and then there is none.
`hint_for` is pure; `suggest` asks the cloud which names there are when one was not found.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import Refused
from controller.main.errors import UserError

if TYPE_CHECKING:
    from cli.api_client import ApiClient

_LOGIN = "log in as an admin: aerekos login --user NAME"
_ROLE = "ask an admin for a role that may, or log in as somebody else: aerekos login --user NAME"
_MOST_NAMES = 500


@dataclass(frozen=True, slots=True)
class _Rule:
    """`words`: in the message, in a cause's reason, or in the path; empty for every refusal of that status."""

    status: int
    words: tuple[str, ...]
    hint: Callable[[Refused], str]


def hint_for(refused: Refused) -> str:
    """A hint what to try next; empty when the message says it or nobody knows."""
    causes = [str(each.get("reason", "")) for each in refused.details.get("causes") or ()]
    text = "\0".join((refused.message, refused.reason, refused.path, *causes))
    for rule in _RULES:
        if rule.status == refused.status and (not rule.words or any(word in text for word in rule.words)):
            return rule.hint(refused)
    return ""


def closest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` is probably a slip of; empty when none is near."""
    found = difflib.get_close_matches(word.lower(), sorted(set(known)), n=1, cutoff=0.6)
    return found[0] if found else ""


def suggest(api: ApiClient, refused: Refused) -> None:
    """Gives a 404 about one resource a hint with the nearest name there is. Never raises."""
    collection, _, name = _resource_path(refused)
    if refused.status != 404 or not collection or refused.hint:
        return
    plural = collection.rpartition("/")[2]
    namespace = _namespace(refused.path)
    room = f" -n {namespace}" if namespace not in ("", "default") else ""
    refused.hint = f"see what there is: aerekos get {plural}{room}"
    with suppress(UserError):
        listing = api.get(collection, params={"limit": str(_MOST_NAMES)})
        near = closest(name, (each["metadata"]["name"] for each in listing.get("items") or ()))
        if near:
            refused.hint = f"did you mean {near}? {refused.hint}"


def _resource_path(refused: Refused) -> tuple[str, str, str]:
    """Collection and name of the resource that was not found; empty when it was something else.

    A namespace that is missing is told as such though the path names something in it.
    """
    wanted, plural = refused.details.get("name", ""), refused.details.get("kind", "")
    parts = refused.path.split("/")
    for at in range(len(parts) - 1):
        if parts[at] == plural and parts[at + 1] == wanted and wanted:
            return "/".join(parts[: at + 1]), "/", wanted
    return "", "", ""


def _namespace(path: str) -> str:
    parts = path.split("/")
    at = parts.index("namespaces") + 1 if "namespaces" in parts else len(parts)
    return parts[at] if at + 1 < len(parts) else ""


def _said(text: str) -> Callable[[Refused], str]:
    return lambda _: text


def _quota(refused: Refused) -> str:
    room = _namespace(refused.path) or "default"
    return f"see what is used: aerekos get resourcequotas -n {room}; delete something there, or ask an admin for more"


def _exists(refused: Refused) -> str:
    name, kind = refused.details.get("name", "NAME"), refused.details.get("kind", "KIND")
    return f"change the one there is: aerekos edit {kind} {name}, or aerekos apply -f FILE"


def _wait(refused: Refused) -> str:
    seconds = refused.details.get("retryAfterSeconds")
    return f"wait {seconds} s, then repeat" if seconds else "wait a little, then repeat"


def _stored(refused: Refused) -> str:
    source = refused.message.partition("it is a view of ")[2].partition(",")[0]
    return f"use the resource it shows: aerekos get {source}" if source else ""


_RULES = (
    _Rule(400, ("label selector",), _said("-l app=web,tier!=db   or   -l 'app in (web,api),!old'")),
    _Rule(400, ("invalid field selector",), _said("--field-selector metadata.name=NAME")),
    _Rule(400, ("field label not supported",), _said("")),
    _Rule(400, ("strict decoding error",), _said("correct the fields named above, or take them out")),
    _Rule(400, (), _said("")),
    _Rule(401, ("/auth/login",), _said("is the name right? An admin gives a new password: aerekos user passwd NAME")),
    _Rule(401, ("/auth/password", "/auth/totp"), _said("")),
    _Rule(401, (), _said("log in again: aerekos login --user NAME")),
    _Rule(403, ("NamespaceTerminating",), _said("wait until it is gone, or take another: aerekos get namespaces")),
    _Rule(403, ("exceeded quota", "failed quota"), _quota),
    _Rule(403, (" cannot ",), _said(_ROLE)),
    _Rule(403, ("may ask only about", "may change only", "may remove only", "only admins"), _said(_LOGIN)),
    _Rule(405, ("it is a view of ",), _stored),
    _Rule(406, (), _said("have this aerekos and the cloud the same version? aerekos version")),
    _Rule(409, ("AlreadyExists",), _exists),
    _Rule(409, ("modified", "changing too fast", "does not hold"), _said("look at it again, then repeat")),
    _Rule(410, (), _said("repeat it: what was asked about is too long ago")),
    _Rule(413, (), _said("make it smaller")),
    _Rule(415, (), _said("have this aerekos and the cloud the same version? aerekos version")),
    _Rule(422, ("FieldValue", "/auth/"), _said("correct the field named above")),
    _Rule(429, (), _wait),
    _Rule(500, ("no space left",), _said("how much there is, and where: aerekos doctor")),
    _Rule(500, (), _said("the reason is in the cloud's log, logs/conductor.log of its home; aerekos doctor")),
    _Rule(502, (), _said("see which service is not ready: aerekos status")),
    _Rule(503, (), _said("see why: aerekos status")),
    _Rule(504, (), _said("repeat it; when it stays so: aerekos status")),
)
