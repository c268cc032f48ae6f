"""Tokens for service accounts: what programs prove themselves with (authentication.k8s.io/v1 TokenRequest).

A token dies with its service account: one of the same name that was made later has another uid. Nothing of a token
is kept here. It is for this API alone, or for becoming a role of IAM: other audiences are names of services, which
believe what a token says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api.auth.principal import ACCOUNT_PREFIX, AUTHENTICATED, Principal, account_groups
from api.auth.tokens import API_AUDIENCE, STS_AUDIENCE, Tokens
from controller.kit.clock import Clock
from controller.store.records import Record
from crds.errors import BadRequest, Cause, Invalid
from crds.model import rfc3339

API_VERSION, KIND = "authentication.k8s.io/v1", "TokenRequest"
DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 3600, 600, 366 * 86400


class AccountTokens:
    """Answers TokenRequests. Whether somebody may ask was decided before."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens, self._clock = tokens, clock

    def issued(self, account: Record, request: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """The request with its token; a rehearsal gets none. Raises BadRequest, Invalid."""
        spec = request.get("spec") or {}
        if not isinstance(spec, dict):
            raise BadRequest("spec must be a JSON object")
        seconds = _seconds(spec)
        _check_binding(spec)
        now = self._clock.now()
        who = principal_of(account)
        audience = _audience(spec)
        token = "" if dry_run else self._tokens.issue(who, seconds=seconds, audience=audience, uid=account.uid)
        name, namespace = account.key.name, account.key.namespace
        return {
            "kind": KIND,
            "apiVersion": API_VERSION,
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": rfc3339(now)},
            "spec": {"audiences": [audience], "expirationSeconds": seconds, "boundObjectRef": None},
            "status": {"token": token, "expirationTimestamp": rfc3339(now + timedelta(seconds=seconds))},
        }


def principal_of(account: Record) -> Principal:
    """The principal that a service account is."""
    namespace = account.key.namespace
    groups = account_groups(namespace) | {AUTHENTICATED}
    return Principal(f"{ACCOUNT_PREFIX}{namespace}:{account.key.name}", groups, namespace, uid=account.uid)


def _seconds(spec: dict[str, Any]) -> int:
    given = spec.get("expirationSeconds")
    if given is None:
        return DEFAULT_SECONDS
    if not isinstance(given, int) or isinstance(given, bool) or not LEAST_SECONDS <= given <= MOST_SECONDS:
        words = f"Invalid value: {given!r}: must be a whole number from {LEAST_SECONDS} to {MOST_SECONDS}"
        raise _invalid("spec.expirationSeconds", words, "FieldValueInvalid")
    return given


def _audience(spec: dict[str, Any]) -> str:
    """Raises Invalid rather than make a token that is good for less, or for more, than was asked."""
    wanted = spec.get("audiences") or [API_AUDIENCE]
    known = (API_AUDIENCE, STS_AUDIENCE)
    for audience in wanted:
        if audience not in known:
            words = f'Unsupported value: {audience!r}: supported values: "{API_AUDIENCE}", "{STS_AUDIENCE}"'
            raise _invalid("spec.audiences", words, "FieldValueNotSupported")
    if len(set(wanted)) > 1:
        raise _invalid("spec.audiences", "Forbidden: a token is for one audience", "FieldValueForbidden")
    return str(wanted[0])


def _check_binding(spec: dict[str, Any]) -> None:
    """Raises Invalid rather than make a token that is good for less, or for more, than was asked."""
    if spec.get("boundObjectRef"):
        words = "Forbidden: a token cannot be bound to another object; it ends with its service account"
        raise _invalid("spec.boundObjectRef", words, "FieldValueForbidden")


def _invalid(field: str, words: str, reason: str) -> Invalid:
    text = f'{KIND}.authentication.k8s.io "" is invalid: {field}: {words}'
    return Invalid(text, causes=(Cause(field, words, reason),))
