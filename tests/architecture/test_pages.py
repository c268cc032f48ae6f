"""The pages in docs/ speak of what is there: their links, the files they name, and the functions of each walk."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])
FOLDERS = "aerekos_cloud|agent|api|bench|cli|controller|crds|dashboard/src|docs|examples|images|services|tests"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]*[\w/])`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`[^`\n]*`")
STEP = re.compile(r"^(?:\d+\. |[A-Z]).*?(?=^\d+\. |^$|\Z)", re.M | re.S)
QUOTED = re.compile(r"`([^`\s]+)`")
FUNCTION = re.compile(r"_{0,2}[a-z]\w*|[A-Z]\w+(?:\.\w+)?")
# Written like files, and none: subresources in permissions.
NO_FILES = {"services/proxy", "services/log"}
WALKS = ROOT / "docs" / "life-of-a-request.md"


# What steps name besides functions: commands, kinds, fields, reasons of events.
WORDS = frozenset(
    {
        "ApiRequest",
        "Workload",
        "RuntimeEvent",
        "Crashed",
        "Recovered",
        "DriftCorrected",
        "command",
        "kms",
        "GroupCommitter",
    }
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    targets = [each for each in LINK.findall(text) if not re.match(r"\w+:", each)]
    assert not [each for each in targets if not (page.parent / each).resolve().exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8"))) - NO_FILES
    assert not [each for each in named if not (ROOT / each).exists()]


@cache
def defined_in(file: str) -> frozenset[str]:
    """Functions and classes of that file, methods as `Class.method` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            found.update(f"{node.name}.{each.name}" for each in methods)
    return frozenset(found)


def steps() -> list[tuple[str, frozenset[str]]]:
    """Each paragraph and step that names files: its text, and all that is defined in those files."""
    texts = [match.group() for match in STEP.finditer(WALKS.read_text(encoding="utf-8"))]
    files = [[each for each in NAMED.findall(text) if each.endswith(".py")] for text in texts]
    return [
        (text, frozenset().union(*map(defined_in, named))) for text, named in zip(texts, files, strict=True) if named
    ]


def test_a_walk_has_many_steps() -> None:
    assert len(steps()) > 40


@pytest.mark.parametrize(("text", "defined"), steps(), ids=[text[:40] for text, _ in steps()])
def test_every_function_of_a_step_is_in_a_file_of_that_step(text: str, defined: frozenset[str]) -> None:
    words = {each for each in QUOTED.findall(text) if FUNCTION.fullmatch(each)} - WORDS
    assert not words - defined
