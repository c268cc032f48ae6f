"""The CLI's one way to the API: an httpx client that knows who it is and turns answers into errors.

The local admin proves itself with the client certificate in AEREKOS_HOME/tls; who has logged in, with a token
that renews itself.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cli import hints
from cli.errors import NotReachable, Refused
from cli.login import contexts
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.home_folder import refusal
from controller.main.settings import Settings
from crds.errors import CONDUCTOR_AWAY

if TYPE_CHECKING:
    import httpx

_RENEW_SECONDS = 30.0
# X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH; CERT_NOT_YET_VALID, CERT_HAS_EXPIRED.
_OTHER_NAME, _OTHER_TIME = (62, 64), (9, 10)


@dataclass
class ApiClient:
    """The API as one identity sees it. Close it, or use it as a context manager. `trust`: for WebSockets to it."""

    client: httpx.Client
    server: str
    context: contexts.Context | None = None
    trust: ssl.SSLContext | None = None

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # While the cloud can still be asked: for a name that was not found, which are near it?
        if isinstance(error, Refused):
            hints.suggest(self, error)
        self.client.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of a successful answer. Raises Refused, NotReachable."""
        return _json(self.send(method, path, **options))

    def get(self, path: str, **options: Any) -> Any:
        return self.ask("GET", path, **options)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A successful answer, whatever it holds. Raises Refused, NotReachable."""
        self._renew()
        with named_errors(self.server):
            answer = self.client.request(method, path, **options)
        return _accepted(answer)

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer that goes on: a watch, or followed logs."""
        import httpx

        self._renew()
        patience = httpx.Timeout(10.0, read=None)
        with named_errors(self.server), self.client.stream("GET", path, timeout=patience, **options) as answer:
            if answer.is_error:
                answer.read()
            yield _accepted(answer)

    def _renew(self) -> None:
        context = self.context
        if context is None or context.expires_at - time.time() > _RENEW_SECONDS:
            return
        # A refresh token works once, and another command may have used it since this one began.
        kept = contexts.current()
        if kept is not None and (kept.server, kept.user) == (context.server, context.user):
            context = kept
        if context.expires_at - time.time() <= _RENEW_SECONDS:
            with named_errors(self.server):
                answer = self.client.post("/auth/refresh", json={"refreshToken": context.refresh_token})
            context = renewed(context, _json(_accepted(answer)))
            contexts.keep(context)
        self.context = context
        self.client.headers["authorization"] = f"Bearer {self.context.access_token}"


def renewed(context: contexts.Context, pair: dict[str, Any]) -> contexts.Context:
    """`context` with the tokens of a login or refresh answer."""
    return replace(
        context,
        access_token=pair["accessToken"],
        refresh_token=pair["refreshToken"],
        expires_at=time.time() + float(pair["expiresIn"]),
    )


def connect(settings: Settings) -> ApiClient:
    """A client as whoever is logged in, else as the local admin. Raises NotReachable when there is no cloud here."""
    context = contexts.current()
    if context:
        trust = _trusting(context.ca)
        client = http_client(context.server, trust)
        client.headers["authorization"] = f"Bearer {context.access_token}"
        return ApiClient(client, context.server, context, trust)
    return local(settings)


def local(settings: Settings) -> ApiClient:
    """A client as the admin of the cloud in this home."""
    server = local_url(settings)
    certificate, key = settings.tls / "admin.crt", settings.tls / "admin.key"
    try:
        if not certificate.exists():
            hint = "start one: aerekos up   or log in elsewhere: aerekos login --server URL --user NAME"
            raise NotReachable(f"there is no cloud in {settings.home}", hint=hint)
        trust = ssl.create_default_context(cafile=str(settings.tls / "ca.crt"))
        trust.load_cert_chain(certificate, key)
    except PermissionError as error:
        raise refusal(settings.home, certificate.with_name("admin.key"), error) from error
    except OSError as error:
        message = f"the certificates in {settings.tls} cannot be used: {error}"
        raise UserError(message, hint="put a backup of that folder in its place; aerekos doctor") from error
    return ApiClient(http_client(server, trust), server, trust=trust)


def local_url(settings: Settings) -> str:
    """Where the conductor of this home listens: what it wrote down, else what the settings say."""
    found = running_conductor.recorded(settings)
    if found is None:
        return settings.url
    return replace(settings, port=found.port, host=str(found.told.get("host") or settings.host)).url


def anonymous(server: str, ca: str | None) -> ApiClient:
    """A client as nobody yet: only good for logging in."""
    return ApiClient(http_client(server, _trusting(ca)), server)


def http_client(server: str, trust: ssl.SSLContext) -> httpx.Client:
    import httpx

    # trust_env off: a proxy variable must not send the admin's requests to somebody else.
    return httpx.Client(base_url=server, verify=trust, timeout=30.0, trust_env=False)


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise UserError(
            f"the CA is no PEM certificate: {error}", hint="--ca FILE, from the conductor's tls/ca.crt"
        ) from error


class NotProven(NotReachable):
    """Somebody answers there who does not prove to be the cloud. Nothing was sent."""


def _refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _not_proven(server: str, refused: ssl.SSLCertVerificationError) -> NotProven:
    """What OpenSSL found (x509(1), X509_V_ERR_*), in words that say what to do."""
    host = urlsplit(server).hostname
    if refused.verify_code in _OTHER_NAME:
        message = f"the certificate of {server} does not name {host}"
        return NotProven(message, hint=f"on its machine: AEREKOS_NAMES={host} aerekos up --restart")
    if refused.verify_code in _OTHER_TIME:
        message = f"the certificate of {server} is not valid at the time this machine has: {time.ctime()}"
        return NotProven(message, hint="set the clocks of both machines (NTP); on its machine: aerekos doctor")
    message = f"{server} is not who it should be: {refused.verify_message}"
    hint = "founded anew, or somebody in between: compare it: `aerekos ca fingerprint`, there; then aerekos logout"
    return NotProven(message, hint=f"{hint}, aerekos login {server} --fingerprint ...")


_START = "start it: aerekos up   (it may be starting still: aerekos status)"


@contextmanager
def named_errors(server: str) -> Iterator[None]:
    """Network errors become errors that say what to do."""
    import httpx

    try:
        yield
    except httpx.ConnectError as error:
        if (refused := _refused_certificate(error)) is not None:
            raise _not_proven(server, refused) from error
        raise NotReachable(f"nobody answers at {server}", hint=_START) from error
    except httpx.TimeoutException as error:
        raise NotReachable(f"{server} does not answer in time", hint="aerekos doctor") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotReachable(f"the connection to {server} broke: {error}", hint="aerekos doctor") from error


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    body = _maybe_json(answer)
    status = body if isinstance(body, dict) else {}
    message = status.get("message") or f"the server answered {answer.status_code}"
    details = status.get("details") or {}
    if CONDUCTOR_AWAY in (cause.get("reason") for cause in details.get("causes") or ()):
        server = str(answer.url.copy_with(raw_path=b"/")).rstrip("/")
        raise NotReachable(f"the gateway at {server} answers, and no conductor behind it", hint=_START)
    for cause in details.get("causes") or ():
        told = str(cause.get("message", ""))
        message += "" if told in message else f"\n  {cause.get('field', '')}: {told}"
    refused = Refused(
        message,
        status=answer.status_code,
        reason=str(status.get("reason", "")),
        details=details,
        path=answer.request.url.path,
    )
    refused.hint = hints.hint_for(refused)
    if refused.status == 403 and " cannot " in message and (id := answer.headers.get("x-request-id")):
        refused.hint = f"{refused.hint}; why: aerekos why {id}" if refused.hint else f"why: aerekos why {id}"
    raise refused


def _json(answer: httpx.Response) -> Any:
    body = _maybe_json(answer)
    if body is None:
        hint = "is it really a conductor? check the address"
        raise NotReachable(f"{answer.url} answered with something that is not JSON", hint=hint)
    return body


def _maybe_json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
