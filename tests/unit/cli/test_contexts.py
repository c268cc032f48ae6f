"""Which login counts: the one of this home, another one that is named, or none but this machine's admin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.login import contexts
from cli.login.contexts import Context
from cli.main import run
from controller.main.errors import Misuse

ADA, BOB = (Context(f"https://{host}:7443", user, "a", "r", 9e12) for host, user in (("one", "ada"), ("two", "bob")))


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Two logins, in two homes; this one is ada's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("AEREKOS_CONTEXT", raising=False)
    for home, context in (("/two", BOB), ("/one", ADA)):
        monkeypatch.setenv("AEREKOS_HOME", home)
        contexts.keep(context)
    yield
    contexts.choose(None)


def test_the_login_of_this_home_counts_unless_another_is_named() -> None:
    assert contexts.current() == ADA
    contexts.choose("bob@two:7443")
    assert contexts.current() == BOB and contexts.as_arguments() == ["--context", "bob@two:7443"]
    contexts.choose("local")
    assert contexts.current() is None
    contexts.choose(None)
    assert contexts.current() == ADA and contexts.as_arguments() == []


def test_a_token_that_was_renewed_stays_where_it_came_from() -> None:
    contexts.choose("bob@two:7443")
    contexts.keep(Context(BOB.server, BOB.user, "new", "r", 9e12))
    contexts.choose(None)
    assert contexts.current() == ADA
    contexts.choose("bob@two:7443")
    now = contexts.current()
    assert now is not None and now.access_token == "new"


def test_one_that_nobody_knows_is_refused_and_leaves_nothing_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Misuse):
        contexts.choose("eve@three:7443")
    assert contexts.current() == ADA
    assert run(["--context", "eve@three:7443", "status"]) == 2
    assert "local, ada@one:7443, bob@two:7443" in capsys.readouterr().err


def test_they_are_listed_and_the_one_that_counts_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["contexts"]) == 0
    assert capsys.readouterr().out == "  local\n* ada@one:7443\n  bob@two:7443\n"
    monkeypatch.setenv("AEREKOS_CONTEXT", "local")
    assert run(["contexts"]) == 0
    assert capsys.readouterr().out.startswith("* local\n")
