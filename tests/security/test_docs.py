"""The pages about security tell the truth: tests they name exist, every row and every check is in them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL, GUIDE = ROOT / "docs" / "threat-model.md", ROOT / "docs" / "hardening.md"
NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)(?:::(\w+))?`")
ROWS = [f"R{number}" for number in range(1, 16)] + [f"M{number}" for number in range(1, 29)]


def named() -> list[tuple[str, str]]:
    return sorted(set(NAMED.findall(MODEL.read_text())))


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.walk(tree) if isinstance(each, kinds) and each.name.startswith("test_")}


def test_the_model_names_many_tests() -> None:
    assert len(named()) > 60


@pytest.mark.parametrize(("file", "name"), named())
def test_what_is_named_exists(file: str, name: str) -> None:
    in_tests = ROOT / "tests" / (file.removeprefix("tests/") if "/" in file else f"security/{file}")
    path = ROOT / file if file.startswith("services/") else in_tests
    assert path.exists(), f"{file} is promised and not there"
    assert not name or name in functions(path), f"{file} has no {name}"


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_review_has_a_test_or_says_that_it_has_none(row: str) -> None:
    (line,) = [line for line in MODEL.read_text().splitlines() if line.startswith(f"| {row} |")]
    last = line.rstrip(" |").rpartition("|")[2]
    assert NAMED.search(last) or "not done" in last, line


def test_every_file_of_these_tests_is_in_the_model() -> None:
    told = {file for file, _ in named()}
    have = {file.name for file in (ROOT / "tests" / "security").glob("test_*.py")} - {"test_docs.py"}
    assert have <= told, f"nobody reads of {sorted(have - told)}"


def test_every_promise_of_a_table_names_a_test() -> None:
    """Tables of attacks have five columns; the fourth is the proof."""
    rows = [line.split(" | ") for line in MODEL.read_text().splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if len(row) == 5 and row[0] != "| attack"]
    assert len(attacks) > 30
    assert not [row[0] for row in attacks if not NAMED.search(row[3])]


def checks() -> set[str]:
    """The second argument of every Finding, as the checks make them."""
    found: set[str] = set()
    for file in (ROOT / "cli" / "security").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                name = node.args[1]
                if isinstance(name, ast.Constant):
                    found.add(str(name.value))
    return found


def test_the_guide_lists_every_check_of_doctor_and_no_other() -> None:
    text = GUIDE.read_text()
    told = {
        name
        for group in re.findall(r"checks? ((?:`[a-z-]+`(?:, | and )?)+)", text)
        for name in group.split("`")[1::2]
    }
    assert told == checks()


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (MODEL, GUIDE, ROOT / "SECURITY.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).resolve().exists(), f"{page.name}: {target}"
