"""`aerekos login --oidc`: the authorization code flow with PKCE, coming back to this machine (RFC 8252, RFC 7636).

The browser is sent to the issuer and returns to a port of 127.0.0.1 that only this command listens on. `state` binds
the return to this command, `nonce` the ID token, PKCE the code. The ID token becomes a session of the cloud.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cli import api_client
from cli.errors import NotReachable
from cli.login import session
from cli.output import complain
from controller.main.errors import Misuse, UserError

_WAIT_SECONDS = 300.0
_PAGE = b"<!doctype html><title>aerekos</title><p>You are logged in. Close this page and go back to the terminal."


def login(server: str, ca: str | None, *, browser: bool) -> str:
    """Keeps the login for the next commands; the user's name there."""
    with api_client.anonymous(server, ca) as api:
        told = api.get("/auth/oidc")
        token = id_token(told, _show(browser=browser))
        pair = api.ask("POST", "/auth/oidc", json={"idToken": token})
    session.keep_login(server, pair["username"], ca, pair)
    return str(pair["username"])


def id_token(told: dict[str, Any], show: Callable[[str], None]) -> str:
    """An ID token of the issuer the cloud named. `show` brings an address before the person. Raises UserError."""
    issuer = str(told["issuer"]).rstrip("/")
    document = _get(f"{issuer}/.well-known/openid-configuration")
    if document.get("issuer") != told["issuer"]:
        raise UserError(f"{issuer} calls itself {document.get('issuer')!r}", hint="ask an admin about oidc_issuer")
    verifier, state, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with _Return(state) as back:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": told["clientId"],
            "redirect_uri": back.address,
            "scope": " ".join(told["scopes"]),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        show(f"{document['authorization_endpoint']}?{urlencode(query)}")
        code = back.wait()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back.address,
            "client_id": told["clientId"],
            "code_verifier": verifier,
        }
        answer = _post(str(document["token_endpoint"]), form)
    token = str(answer.get("id_token", ""))
    if not hmac.compare_digest(str(_claims(token).get("nonce", "")), nonce):
        raise UserError("the ID token was not made for this login", hint="try again")
    return token


class _Return:
    """A port of this machine that the browser comes back to, once."""

    def __init__(self, state: str) -> None:
        outer = self
        self._query: dict[str, list[str]] | None = None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                mine = hmac.compare_digest(query.get("state", [""])[0].encode(), state.encode())
                if parts.path == "/callback" and mine:
                    outer._query = query
                self.send_response(200 if mine else 400)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("referrer-policy", "no-referrer")
                self.end_headers()
                self.wfile.write(_PAGE if mine else b"not for this login")

            def log_message(self, *_: object) -> None:
                """Nothing: the address holds the code."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.timeout = 1.0
        self.address = f"http://127.0.0.1:{self._server.server_port}/callback"

    def __enter__(self) -> _Return:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self) -> str:
        """The code. Raises UserError when the issuer says no, or nobody comes back in five minutes."""
        left = int(_WAIT_SECONDS)
        while self._query is None and left > 0:
            self._server.handle_request()
            left -= 1
        query = self._query or {}
        if "code" not in query:
            why = query.get("error_description", query.get("error", ["nobody came back from the browser"]))[0]
            raise UserError(f"the issuer let nobody in: {why[:300]}", hint="try again")
        return query["code"][0]


def _show(*, browser: bool) -> Callable[[str], None]:
    def show(url: str) -> None:
        complain(f"Log in here:\n\n  {url}\n")
        if browser:
            webbrowser.open(url)

    return show


def _get(url: str) -> dict[str, Any]:
    import httpx

    return _answered(lambda client: client.get(url), url, httpx)


def _post(url: str, form: dict[str, str]) -> dict[str, Any]:
    import httpx

    return _answered(lambda client: client.post(url, data=form), url, httpx)


def _answered(ask: Callable[[Any], Any], url: str, httpx: Any) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise Misuse(f"{url} is no https address", hint="ask an admin about oidc_issuer")
    try:
        with httpx.Client(timeout=15.0) as client:
            answer = ask(client)
        answer.raise_for_status()
        return dict(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise NotReachable(f"the issuer at {parts.netloc} did not answer as it should: {error}", hint="") from error


def _claims(token: str) -> dict[str, Any]:
    """Unverified: the cloud verifies the token; here only the nonce is compared."""
    try:
        middle = token.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))
    except (IndexError, ValueError, TypeError):
        return {}
