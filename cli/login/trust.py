"""Trust in the cloud to log in to, by its CA: given, pinned by an earlier login, or met the first time.

At a first meeting everything comes from somebody who may sit in between. Of that, only the certificate of the CA is
taken, in the one form the fingerprint covers, once a person or `--fingerprint` has said that it is the right one. A
password is asked for and sent afterwards, over TLS that this CA vouches for.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cli import api_client
from cli.errors import NotReachable
from cli.login import contexts
from controller.kit.authorities import fingerprint, first_certificate, only_certificate, read_fingerprint, spelled
from controller.kit.listening import EVERYWHERE, LOOPBACK
from controller.main.errors import Misuse, UserError
from controller.main.host_names import is_address
from controller.main.ports import own_addresses
from controller.main.settings import DEFAULT_PORT, Settings

_LONGEST_PEM = 65_536
_HOW_TO_COMPARE = "on its machine: aerekos ca fingerprint; in its dashboard: Settings"
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust a command was told to have: a file with the CA, or its fingerprint. `ask` puts a question to a person
    and returns the answer; None when nobody is there.
    """

    ca_file: Path | None = None
    fingerprint: str | None = None
    ask: Ask | None = None


def cloud_to_log_in_to(settings: Settings, server: str | None, trust: Trust) -> tuple[str, str | None]:
    """Address and CA (PEM) of the cloud; None for one that the system's own authorities vouch for.

    Raises Misuse for an address or a fingerprint that is none, UserError for a CA that is not the one it should be.
    """
    pin = _read_pin(trust.fingerprint)
    here = api_client.local_url(settings)
    server = read_server(server) if server else here
    if trust.ca_file is not None:
        return server, _require(_read_file(trust.ca_file), pin, str(trust.ca_file))
    if server == here and (settings.tls / "ca.crt").exists():
        return server, _require(_read_file(settings.tls / "ca.crt"), pin, server)
    if pin is not None:
        return server, _require(shown_ca(server), pin, server)
    if (known := contexts.pinned(server)) is not None:
        return server, known
    return server, None if _system_vouches(server) else _met(server, trust.ask)


def read_server(text: str) -> str:
    """`https://HOST:PORT` of what somebody typed; without a scheme the usual one is meant, and the usual port.
    Raises Misuse.
    """
    full = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(full.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    plain = parts.scheme == "https" and parts.path in ("", "/") and not (parts.query or parts.fragment)
    if not host or not plain or parts.username is not None or parts.password is not None:
        raise Misuse(f"{text} is no address of a cloud", hint=f"https://HOST:{DEFAULT_PORT}")
    if port is None and "://" not in text:
        port = DEFAULT_PORT
    named = f"[{host}]" if ":" in host else host
    return f"https://{named}" + (f":{port}" if port else "")


def shown_ca(server: str) -> str:
    """The certificate that whoever answers there calls its CA; nothing is proven. Raises UserError, NotReachable."""
    unproven = ssl.create_default_context()
    unproven.check_hostname, unproven.verify_mode = False, ssl.CERT_NONE
    pem = b""
    with (
        api_client.named_errors(server),
        api_client.http_client(server, unproven) as client,
        client.stream("GET", "/auth/ca.pem") as answer,
    ):
        for part in answer.iter_bytes():
            pem += part
            if len(pem) > _LONGEST_PEM:
                break
    try:
        return only_certificate(pem.decode("ascii"))
    except ValueError as odd:
        message = f"{server} shows no single CA certificate: it is no cloud, or somebody sits in between"
        raise UserError(message, hint="check the address; or bring its CA here yourself: --ca FILE") from odd


def _met(server: str, ask: Ask | None) -> str:
    pem = shown_ca(server)
    found = fingerprint(pem)
    if ask is None:
        message = f"{server} is not known here, and nobody is there to compare its CA's fingerprint"
        raise UserError(message, hint=f"--fingerprint SHA256 ({_HOW_TO_COMPARE}), or --ca FILE")
    answer = ask(
        f"{server} is not known here. Its CA has the SHA-256 fingerprint\n\n  {spelled(found)}\n\n"
        f"Compare it ({_HOW_TO_COMPARE}).\nIs it the same? Type yes, or paste the fingerprint: "
    )
    if answer.strip().lower() != "yes" and not _is_that(answer, found):
        raise UserError("nothing was trusted, and nothing was sent", hint=_HOW_TO_COMPARE)
    return pem


def _is_that(answer: str, found: str) -> bool:
    try:
        return hmac.compare_digest(read_fingerprint(answer), found)
    except ValueError:
        return False


def _require(pem: str, pin: str | None, where: str) -> str:
    """That CA, if it is the one of the fingerprint. Raises UserError."""
    if pin is None:
        return pem
    try:
        alone = only_certificate(pem)
    except ValueError as odd:
        raise Misuse(f"{where}: {odd}", hint="--fingerprint goes with one certificate") from odd
    found = fingerprint(alone)
    if not hmac.compare_digest(found, pin):
        message = f"{where} has a CA with the fingerprint\n  {spelled(found)}\nnot\n  {spelled(pin)}"
        hint = (
            f"another cloud, one that was founded anew, or somebody in between; nothing was sent. {_HOW_TO_COMPARE}"
        )
        raise UserError(message, hint=hint)
    return alone


def _read_pin(text: str | None) -> str | None:
    try:
        return None if text is None else read_fingerprint(text)
    except ValueError as odd:
        raise Misuse(f"--fingerprint {text}: {odd}", hint=_HOW_TO_COMPARE) from odd


def _read_file(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeError) as error:
        raise Misuse(f"{file} cannot be read: {getattr(error, 'strerror', error)}", hint="--ca FILE") from error


def _system_vouches(server: str) -> bool:
    """Whether the authorities this system trusts anyway know who answers there. Raises NotReachable for nobody."""
    try:
        with api_client.anonymous(server, None) as api:
            api.send("GET", "/auth/ca.pem")
    except NotReachable as refused:
        if isinstance(refused, api_client.NotProven):
            return False
        raise
    return True


def how_to_meet(settings: Settings) -> list[str]:
    """Lines for people on other machines: the fingerprint, and where the cloud listens beyond its loopback."""
    pem = first_certificate(_read_file(settings.tls / "ca.crt"))
    lines = [f"CA fingerprint:       {spelled(fingerprint(pem))}"]
    if address := _address_for_others(settings):
        lines.append(f"From elsewhere:       aerekos login https://{address}:{settings.port} --user NAME")
    return lines


def _address_for_others(settings: Settings) -> str:
    """Empty when other machines cannot reach it."""
    if settings.host not in EVERYWHERE:
        found = settings.host if not _is_loopback(settings.host) else ""
    else:
        found = next(iter((*settings.names, *own_addresses())), "")
    return f"[{found}]" if ":" in found else found


def _is_loopback(host: str) -> bool:
    return host == LOOPBACK or (is_address(host) and ip_address(host).is_loopback)
