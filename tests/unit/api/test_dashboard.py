"""The dashboard's files over HTTP: right types, kept as long as they may be, and nothing but them."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from api.asgi import Response
from api.dashboard import Dashboard

SCRIPT = b"console.log('a')" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small build."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><div id=root></div>")
    (assets / "index-abc.js").write_bytes(SCRIPT)
    (assets / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / ".built").touch()
    return tmp_path


def ask(dashboard: Dashboard, path: str, method: str = "GET", **headers: str) -> Response | None:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": named}
    return dashboard.answer(scope) if dashboard.serves(scope) else None


def headers_of(answer: Response | None) -> dict[bytes, bytes]:
    assert answer is not None
    return dict(answer.headers)


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/services/default/key-manager"])
def test_every_screen_is_the_one_page_and_is_asked_for_each_time(folder: Path, path: str) -> None:
    answer = ask(Dashboard(folder), path)
    assert answer is not None
    assert (answer.code, answer.content_type) == (200, b"text/html; charset=utf-8")
    assert headers_of(answer)[b"cache-control"] == b"no-cache"


def test_assets_are_kept_forever_and_sent_compressed_to_those_who_accept_it(folder: Path) -> None:
    dashboard = Dashboard(folder)
    plain, packed = (
        ask(dashboard, "/assets/index-abc.js"),
        ask(dashboard, "/assets/index-abc.js", accept_encoding="gzip, deflate"),
    )
    assert plain is not None
    assert packed is not None
    assert plain.body == SCRIPT == gzip.decompress(packed.body)
    assert headers_of(packed)[b"content-encoding"] == b"gzip"
    assert b"immutable" in headers_of(plain)[b"cache-control"]
    assert headers_of(plain)[b"vary"] == b"accept-encoding"


def test_what_a_browser_has_already_is_not_sent_again(folder: Path) -> None:
    dashboard = Dashboard(folder)
    tag = headers_of(ask(dashboard, "/"))[b"etag"].decode()
    answer = ask(dashboard, "/", if_none_match=tag)
    assert answer is not None
    assert (answer.code, answer.body) == (304, b"")


def test_the_page_may_load_only_what_is_ours(folder: Path) -> None:
    headers = headers_of(ask(Dashboard(folder), "/"))
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-frame-options"] == b"DENY"


@pytest.mark.parametrize(
    "path", ["/assets/../index.html", "/assets/.built", "/assets/none.js", "/assets/index-abc.js.gz"]
)
def test_nothing_else_can_be_had(folder: Path, path: str) -> None:
    answer = ask(Dashboard(folder), path)
    assert answer is not None
    assert answer.code == 404


@pytest.mark.parametrize(
    ("path", "method"), [("/auth/login", "GET"), ("/uix", "GET"), ("/", "POST"), ("/services/a", "GET")]
)
def test_other_paths_are_left_to_others(folder: Path, path: str, method: str) -> None:
    assert ask(Dashboard(folder), path, method) is None


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    answer = ask(Dashboard(tmp_path), "/")
    assert answer is not None
    assert answer.code == 503
    assert b"make dashboard" in answer.body


def test_a_new_build_is_noticed(folder: Path) -> None:
    dashboard = Dashboard(folder)
    ask(dashboard, "/")
    page = folder / "index.html"
    page.write_text("<p>newer")
    answer = ask(dashboard, "/")
    assert answer is not None
    assert answer.body == b"<p>newer"
