"""A second factor from the command line: enrolling, removing, and asking for a code at a login."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import complain, say
from controller.main.errors import Misuse

_WANTS_CODE = ("TotpRequired", "TotpInvalid")
_TRIES = 3


def ask_code(prompt: str = "Code of your authenticator app (or a recovery code)") -> str:
    """Typed, or the next line of stdin. Raises Misuse where nobody can type."""
    if sys.stdin.isatty():
        return input(f"{prompt}: ").strip()
    given = sys.stdin.readline().strip()
    if not given:
        raise Misuse(
            "this user has a second factor, and there is no terminal to ask for its code", hint="give --code"
        )
    return given


def log_in(api: ApiClient, user: str, password: str, code: str = "") -> Any:
    """The answer to a login; a code is asked for when the cloud wants one. Raises Refused."""
    for _ in range(_TRIES):
        body = {"username": user, "password": password, "code": code}
        try:
            return api.ask("POST", "/auth/login", json=body)
        except Refused as refused:
            if refused.reason not in _WANTS_CODE or (code and not sys.stdin.isatty()):
                raise
            if refused.reason == "TotpInvalid":
                complain(refused.message)
            code = ask_code()
    raise Misuse("three codes were not right", hint="is the clock of the phone right?")


def enrol(api: ApiClient, user: str, password: str, read_code: Callable[[], str] = ask_code) -> list[str]:
    """Shows the secret, asks for a first code; the recovery codes."""
    proof = {"username": user, "password": password}
    made = api.ask("POST", "/auth/totp", json=proof)
    say(f"Put this into your authenticator app:\n\n  {made['uri']}\n\nor type its secret: {made['secret']}\n")
    answer = api.ask("POST", "/auth/totp/confirm", json={**proof, "code": read_code()})
    return list(answer["recoveryCodes"])


def remove(api: ApiClient, user: str, password: str = "", code: str = "") -> None:
    """One's own with password and code; as an admin, anybody's."""
    api.send("POST", "/auth/totp/remove", json={"username": user, "password": password, "code": code})
