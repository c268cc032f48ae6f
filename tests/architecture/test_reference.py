"""docs/reference/ is what `make reference` makes of this code, and of all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crds.catalog import CORE_KINDS
from crds.conditions import Reason
from crds.event_reasons import EventReason
from docs.generate import settings
from docs.generate.markdown import cell, paragraph, table
from docs.generate.pages import AWS_FOLDER, FOLDER, aws_pages, pages
from docs.generate.settings import Undescribed, settings_page
from services.key_manager.operations import OPERATIONS as KMS_OPERATIONS
from services.sdk.aws.model import load_model
from services.sdk.discovery import managed_services
from services.storage_manager.handlers import OPERATIONS as S3_OPERATIONS

PAGES = pages()
COMMITTED = {each.name: each for each in FOLDER.glob("*.md")}


@pytest.mark.parametrize("name", sorted({*PAGES, *COMMITTED}))
def test_a_page_is_what_the_program_makes(name: str) -> None:
    assert name in PAGES, f"docs/reference/{name} is made by nothing: remove it"
    assert name in COMMITTED, "run: make reference"
    assert COMMITTED[name].read_text(encoding="utf-8") == PAGES[name], "run: make reference"


@pytest.mark.parametrize("name", sorted({*aws_pages(), *(each.name for each in AWS_FOLDER.glob("*.md"))}))
def test_a_page_of_an_aws_service_is_what_its_declarations_make(name: str) -> None:
    made = aws_pages()
    assert name in made, f"docs/aws/{name} is made by nothing: remove it"
    assert (AWS_FOLDER / name).read_text(encoding="utf-8") == made[name], "run: make reference"


def test_every_operation_of_a_model_is_done_or_refused_with_a_reason() -> None:
    for model, handled in (("kms", set(KMS_OPERATIONS)), ("s3", set(S3_OPERATIONS))):
        text = aws_pages()[f"{model}.md"]
        done, refused = text.split("## Refused")
        for name in load_model(model).operations:
            row = f"`{name}`"
            assert (row in done) == (name in handled) and (row in refused) != (name in handled), name


def test_making_them_twice_makes_the_same() -> None:
    assert pages() == PAGES


def test_no_page_knows_the_machine_it_was_made_on() -> None:
    whole = "".join(PAGES.values())
    assert str(Path.home() / ".aerekos") not in whole and str(FOLDER.parents[1]) not in whole


def test_every_kind_word_and_agent_option_is_there() -> None:
    kinds = [*CORE_KINDS, *(kind for each in managed_services() for kind in each.kinds)]
    assert [each.name for each in kinds if f"\n### {each.name}\n" not in PAGES["kinds.md"]] == []
    assert [each for each in Reason if f"| `{each}` | {each.description} |" not in PAGES["conditions.md"]] == []
    assert [each for each in EventReason if f"| `{each}` | {each.description} |" not in PAGES["events.md"]] == []
    assert "| `StoreReadOnly` | The store takes no changes. |" in PAGES["findings.md"]
    assert "`CrashLoopBackOff`" in PAGES["conditions.md"] and "## Words of key_manager" in PAGES["conditions.md"]
    assert "## aerekos user totp enrol\n" in PAGES["cli.md"] and "| `--announce-port` |" in PAGES["cli.md"]
    assert "| `aerekos_http_requests_total` | counter | `handler`, `method`, `code` |" in PAGES["metrics.md"]


def test_links_between_pages_lead_somewhere() -> None:
    for name, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+\.md)", text):
            assert (FOLDER / target).resolve().exists(), f"{name}: {target}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# AEREKOS_PORT=7443\n", "", "differ in AEREKOS_PORT"),
        ("# AEREKOS_PORT=7443\n", "# AEREKOS_PORT=7443\n\n# Old.\n# AEREKOS_DOOR=\n", "differ in AEREKOS_DOOR"),
        ("AEREKOS_PORT=7443", "AEREKOS_PORT=8443", "the default of AEREKOS_PORT is '7443', not '8443'"),
        ("# The port it listens on\n", "", "AEREKOS_PORT has no comment of its own"),
    ],
)
def test_settings_and_their_example_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    example = settings.EXAMPLE.read_text(encoding="utf-8")
    assert example.count(old) == 1
    changed = tmp_path / ".env_example"
    changed.write_text(example.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(settings, "EXAMPLE", changed)
    with pytest.raises(Undescribed, match=said):
        settings_page()


def test_text_cannot_leave_its_cell_or_become_html() -> None:
    assert cell("a | b\nc") == "a \\| b c"
    assert paragraph("<script> and `<name>`, see docs/limits.md") == (
        "\\<script> and `<name>`, see [limits.md](../limits.md)"
    )
    assert table(["A", "B"], [("x", ""), ("y", "")]) == "| A |\n| --- |\n| x |\n| y |"
    assert table(["A"], []) == ""
