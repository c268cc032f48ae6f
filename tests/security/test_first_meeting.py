"""Logging in to a cloud this machine has never seen, with somebody in between who answers in its place: nothing is
trusted but the CA a person has compared, and no password leaves before that.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from api.tls import CertificateAuthority
from cli.api_client import NotProven
from cli.login import contexts, session
from cli.login.trust import Trust, cloud_to_log_in_to, how_to_meet, read_server
from controller.kit.authorities import fingerprint, spelled
from controller.main.errors import Misuse, UserError
from controller.main.settings import Settings

NOW = datetime.now(UTC)
PAIR = {"accessToken": "a", "refreshToken": "r", "expiresIn": 600}


class Answering:
    """Somebody at a port: with a certificate of `authority`, showing `shown` as the CA. `got`: bodies of POSTs."""

    def __init__(self, authority: CertificateAuthority, shown: bytes, hosts: tuple[str, ...]) -> None:
        self.shown, self.got = shown, [b""]
        self.got.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server(hosts))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(outer.shown)

            def do_POST(self) -> None:
                outer.got.append(self.rfile.read(int(self.headers["content-length"])))
                self._answer(json.dumps(PAIR).encode())

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def cloud(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "cloud", now=NOW)


@pytest.fixture
def between(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "between", now=NOW)


Answer = Callable[..., Answering]


@pytest.fixture
def answer() -> Iterator[Answer]:
    begun: list[Answering] = []

    def begin(authority: CertificateAuthority, shown: bytes, *hosts: str) -> Answering:
        begun.append(Answering(authority, shown, hosts or ("127.0.0.1",)))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path / "elsewhere"))
    return Settings(tmp_path / "elsewhere")


def pem(authority: CertificateAuthority) -> bytes:
    return authority.ca_file.read_bytes()


def log_in(settings: Settings, server: str, trust: Trust) -> str | None:
    where, ca = cloud_to_log_in_to(settings, server, trust)
    session.login(where, ca, "ann", "secret", choose=lambda: pytest.fail("asked for a new password"))
    return ca


def pin(authority: CertificateAuthority) -> str:
    return fingerprint(pem(authority).decode())


@pytest.mark.parametrize("spell", [str, spelled, str.upper])
def test_the_right_fingerprint_lets_in_and_pins(
    cloud: CertificateAuthority, answer: Answer, settings: Settings, spell: Callable[[str], str]
) -> None:
    there = answer(cloud, pem(cloud))
    assert log_in(settings, there.url, Trust(fingerprint=spell(pin(cloud)))) == pem(cloud).decode()
    assert len(there.got) == 1 and b"secret" in there.got[0]
    kept = contexts.current()
    assert kept is not None and kept.ca == pem(cloud).decode()
    # The second time nothing is asked, for it is known.
    assert cloud_to_log_in_to(settings, there.url, Trust()) == (there.url, pem(cloud).decode())


def test_another_fingerprint_is_refused_with_both(
    cloud: CertificateAuthority, between: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    there = answer(between, pem(between))
    with pytest.raises(UserError) as refused:
        log_in(settings, there.url, Trust(fingerprint=pin(cloud)))
    assert spelled(pin(cloud)) in refused.value.message and spelled(pin(between)) in refused.value.message
    assert there.got == [] and contexts.current() is None


def test_who_shows_the_right_ca_without_its_key_gets_nothing(
    cloud: CertificateAuthority, between: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    """The CA of a cloud is no secret: whoever sits in between has it too."""
    there = answer(between, pem(cloud))
    with pytest.raises(NotProven, match="not who it should be"):
        log_in(settings, there.url, Trust(fingerprint=pin(cloud)))
    assert there.got == [] and contexts.current() is None


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_second_ca_in_the_same_answer_is_not_trusted(
    cloud: CertificateAuthority, between: CertificateAuthority, answer: Answer, settings: Settings, ours_first: bool
) -> None:
    both = pem(cloud) + pem(between) if ours_first else pem(between) + pem(cloud)
    there = answer(between, both)
    with pytest.raises(UserError, match="no single CA"):
        log_in(settings, there.url, Trust(fingerprint=pin(cloud)))
    assert there.got == []


@pytest.mark.parametrize("shown", [b"", b"<html>", b"\xff" * 10, b"-----BEGIN CERTIFICATE-----\n" * 9000])
def test_what_is_no_certificate_is_refused(
    cloud: CertificateAuthority, answer: Answer, settings: Settings, shown: bytes
) -> None:
    there = answer(cloud, shown)
    with pytest.raises(UserError, match="no single CA"):
        log_in(settings, there.url, Trust(fingerprint=pin(cloud)))


@pytest.mark.parametrize("short", ["", "ab", "ab" * 8, "ab" * 31, "zz" * 32])
def test_a_part_of_a_fingerprint_is_none(settings: Settings, short: str) -> None:
    with pytest.raises(Misuse, match="64 hexadecimal digits"):
        cloud_to_log_in_to(settings, "https://127.0.0.1:1", Trust(fingerprint=short))


@pytest.mark.parametrize("says", ["", "y", "no", "sure", "\n"])
def test_a_person_who_does_not_say_yes_trusts_nothing(
    cloud: CertificateAuthority, answer: Answer, settings: Settings, says: str
) -> None:
    there = answer(cloud, pem(cloud))
    with pytest.raises(UserError, match="nothing was trusted"):
        log_in(settings, there.url, Trust(ask=lambda _: says))
    assert there.got == [] and contexts.current() is None


def test_a_person_is_shown_the_fingerprint_and_may_paste_it(
    cloud: CertificateAuthority, between: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    there, asked = answer(cloud, pem(cloud)), [""]

    def ask(question: str) -> str:
        asked.append(question)
        return f"{spelled(pin(cloud))}\n"

    log_in(settings, there.url, Trust(ask=ask))
    assert spelled(pin(cloud)) in asked[-1] and "aerekos ca fingerprint" in asked[-1]
    other = answer(between, pem(between))
    with pytest.raises(UserError, match="nothing was trusted"):
        log_in(settings, other.url, Trust(ask=ask))


def test_where_nobody_is_there_nothing_is_trusted(
    cloud: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    there = answer(cloud, pem(cloud))
    with pytest.raises(UserError, match="not known here") as refused:
        log_in(settings, there.url, Trust())
    assert "--fingerprint" in refused.value.hint
    assert pin(cloud)[:8] not in str(refused.value).lower().replace(":", ""), "nothing to copy without comparing"


def test_another_ca_at_a_known_address_is_refused(
    cloud: CertificateAuthority, between: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    there = answer(between, pem(between))
    contexts.keep(contexts.Context(there.url, "ann", "a", "r", 0.0, pem(cloud).decode()))
    with pytest.raises(NotProven, match="not who it should be"):
        log_in(settings, there.url, Trust(ask=lambda _: "yes"))
    assert there.got == []


def test_a_certificate_for_other_names_says_so(
    cloud: CertificateAuthority, answer: Answer, settings: Settings
) -> None:
    there = answer(cloud, pem(cloud), "cloud.lan", "10.0.0.5")
    with pytest.raises(NotProven, match=r"does not name 127\.0\.0\.1") as refused:
        log_in(settings, there.url, Trust(fingerprint=pin(cloud)))
    assert "AEREKOS_NAMES=127.0.0.1" in refused.value.hint and there.got == []


def test_a_clock_that_is_wrong_is_not_called_an_impostor(tmp_path: Path, answer: Answer, settings: Settings) -> None:
    early = CertificateAuthority(tmp_path / "early", now=NOW + timedelta(days=2))
    there = answer(early, pem(early))
    with pytest.raises(NotProven, match="not valid at the time this machine has"):
        log_in(settings, there.url, Trust(fingerprint=pin(early)))


def test_a_file_is_held_against_the_fingerprint_too(
    cloud: CertificateAuthority, between: CertificateAuthority, settings: Settings
) -> None:
    given = Trust(ca_file=between.ca_file, fingerprint=pin(cloud))
    with pytest.raises(UserError, match="has a CA with the fingerprint"):
        cloud_to_log_in_to(settings, "https://127.0.0.1:1", given)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("https://cloud.lan:7443/", "https://cloud.lan:7443"),
        ("10.0.0.5", "https://10.0.0.5:7443"),
        ("10.0.0.5:80", "https://10.0.0.5:80"),
        ("[fd00::1]", "https://[fd00::1]:7443"),
        ("https://cloud.lan", "https://cloud.lan"),
    ],
)
def test_addresses_are_read_as_they_are_meant(typed: str, meant: str) -> None:
    assert read_server(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["http://cloud.lan", "https://ann:x@cloud.lan", "https://good.lan@evil.lan", "https://x/path", "https://x?a", "",
     "https://x:99999", "ftp://x", "https://x#a"],
)  # fmt: skip
def test_what_could_lead_elsewhere_is_no_address(typed: str) -> None:
    with pytest.raises(Misuse):
        read_server(typed)


@pytest.mark.parametrize(
    ("host", "names", "address"),
    [
        ("localhost", (), ""),
        ("::1", ("cloud.lan",), ""),
        ("127.0.0.2", (), ""),
        ("10.0.0.5", (), "https://10.0.0.5:7443"),
        ("fd00::5", (), "https://[fd00::5]:7443"),
        ("::", ("cloud.lan",), "https://cloud.lan:7443"),
        ("0.0.0.0", (), "https://10.9.9.9:7443"),
    ],
)
def test_the_start_says_how_others_get_in(
    cloud: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, host: str, names: tuple[str, ...], address: str
) -> None:
    monkeypatch.setattr("cli.login.trust.own_addresses", lambda: ["10.9.9.9", "fd00::9"])
    home = cloud.ca_file.parent.parent
    cloud.ca_file.parent.rename(home / "tls")
    first, *rest = how_to_meet(Settings(home, host=host, names=names))
    assert first.endswith(spelled(fingerprint((home / "tls" / "ca.crt").read_text())))
    assert [each.split()[-3] for each in rest] == ([address] if address else [])
