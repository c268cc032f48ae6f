"""No expression that could go back and forth ever meets what somebody else wrote.

Every use of `re` outside the tests is a constant, and provably linear (`linear.py`). What people write themselves
(`pattern` of their kinds) is run by RE2 alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from security.linear import not_linear

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "controller", "services", "agent", "crds", "cli")
CALLS = frozenset({"compile", "match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split"})
# Modules whose matching is Python's, or quadratic, in disguise.
NOT_FOR_OUTSIDE = frozenset({"fnmatch", "difflib", "glob", "http.cookies"})


class Use(NamedTuple):
    """One expression, and by which calls it is used."""

    file: str
    line: int
    pattern: str | bytes | None
    calls: frozenset[str]


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "tests" not in file.parts:
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def uses() -> Iterator[Use]:
    for file, tree in sources():
        constants = {
            target.id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_re(node.func):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                assert name in CALLS, f"{file}:{node.lineno}: re.{name}"
                calls = _calls_of(tree, node) if name == "compile" else frozenset({name})
                yield Use(file, node.lineno, _text(node.args[0], constants), calls)


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re" and (
        node.attr in CALLS or node.attr not in {"error", "Match", "Pattern", "IGNORECASE", "VERBOSE"}
    )  # fmt: skip


def _calls_of(tree: ast.Module, compiled: ast.Call) -> frozenset[str]:
    """How the name it is assigned to is used in this file; when not all uses are here, everything is possible."""
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is compiled
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }
    return frozenset(found & CALLS) or frozenset({"search"})


def _text(node: ast.expr, constants: dict[str, object]) -> str | bytes | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = []
        for each in node.values:
            if isinstance(each, ast.FormattedValue):
                each = each.value
            inner = constants.get(each.id) if isinstance(each, ast.Name) else getattr(each, "value", None)
            if not isinstance(inner, str):
                return None
            parts.append(inner)
        return "".join(parts)
    return None


def test_every_expression_is_linear() -> None:
    faults = []
    for use in uses():
        if use.pattern is None:
            faults.append(f"{use.file}:{use.line}: made while running; use controller.kit.patterns")
            continue
        reasons = ((call, not_linear(use.pattern, call)) for call in sorted(use.calls))
        faults += [f"{use.file}:{use.line}: {call}({use.pattern!r}): {why}" for call, why in reasons if why]
    assert not faults, "\n".join(faults)


def test_there_are_expressions_to_look_at() -> None:
    assert len(list(uses())) > 5


def test_nothing_matches_in_disguise() -> None:
    found = [
        f"{file}:{node.lineno}: {name}"
        for file, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name in NOT_FOR_OUTSIDE and not file.startswith("cli/")
    ]
    assert not found


@pytest.mark.parametrize(
    ("pattern", "call"),
    [
        (r"(a+)+$", "match"),
        (r"(a|aa)*b", "match"),
        (r"\s*=\s*;\s*\s*x", "match"),
        (r"[^,]+,.*b.*c", "match"),
        (r"AWS4-[A-Z0-9-]+ .*?Credential=[^/,\s]+/x", "match"),
        (r"\s+$", "search"),
        (r"(a)\1", "match"),
        (r"\d+\d+x", "fullmatch"),
    ],
)
def test_what_goes_back_and_forth_is_found(pattern: str, call: str) -> None:
    assert not_linear(pattern, call)


@pytest.mark.parametrize(
    ("pattern", "call"),
    [(r"[a-z]+-[0-9]+", "fullmatch"), (r"x=[^&]*", "sub"), (r"[A-Za-z0-9._-]{1,64}", "fullmatch")],
)
def test_what_is_certain_is_left_alone(pattern: str, call: str) -> None:
    assert not not_linear(pattern, call)
