"""`aerekos open`: which page of the dashboard it is, and that a page of nothing is not opened."""

from __future__ import annotations

import webbrowser

import pytest

from cli.main import run
from tests.unit.cli.conftest import Cloud

PHOTOS = "/apis/aerekos.cloud/v1/namespaces/team/buckets/a.b"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses a browser was given."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ([], "/"),
        (["buckets"], "/ui/k/aerekos.cloud/v1/buckets"),
        (["namespaces"], "/ui/k/core/v1/namespaces"),
        (["bucket", "a.b", "-n", "team"], "/ui/k/aerekos.cloud/v1/buckets/team/a.b"),
        (["bucket/a.b", "-n", "team"], "/ui/k/aerekos.cloud/v1/buckets/team/a.b"),
        (["namespace", "team"], "/ui/k/core/v1/namespaces/-/team"),
        (["deploy/web"], "/ui/k/aerekos.cloud/v1/services/default/web"),
    ],
)
def test_each_has_its_page(
    cloud: Cloud, opened: list[str], capsys: pytest.CaptureFixture[str], words: list[str], page: str
) -> None:
    for path in (PHOTOS, "/api/v1/namespaces/team", "/apis/aerekos.cloud/v1/namespaces/default/services/web"):
        cloud.resources[path] = {"metadata": {"name": path.rpartition("/")[2]}}
    assert run(["open", *words]) == 0
    assert opened == [f"https://cloud.test{page}"] and capsys.readouterr().out == f"{opened[0]}\n"
    assert run(["open", *words, "--no-browser"]) == 0 and len(opened) == 1


def test_a_page_of_nothing_is_not_opened(cloud: Cloud, opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["open", "bucket", "nothing"]) == 1
    assert opened == [] and "not found" in capsys.readouterr().err
