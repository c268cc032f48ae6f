"""Phases, condition types and reasons are words of an enum (`crds.term.Term`), each explained in one sentence.

The sources are read, not run: what is written as a literal would be found by nobody who looks the word up.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import controller.health.finding
import crds.conditions
import crds.event_reasons
import crds.phases
from crds.term import Term
from services.sdk.discovery import managed_services

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "api", "cli", "controller", "crds", "services")

KEYWORDS = {
    "Condition": ("type", "reason"),
    "DriverError": ("reason",),
    "Instance": ("phase",),
    "MissingDependency": ("reason",),
    "ObservedInstance": ("phase",),
    "Outcome": ("reason",),
    "PassResult": ("reason",),
    "Permanent": ("reason",),
    "RuntimeEvent": ("reason",),
    "Temporary": ("reason",),
    "again": ("reason",),
    "done": ("reason",),
    "note": ("kind", "reason"),
    "record": ("reason",),
    "waiting": ("reason",),
}
"""Keyword arguments that take a term, by the name of what is called."""
POSITIONS = {
    "Condition": (0, 2),
    "PassResult": (1,),
    "RuntimeEvent": (2,),
    "_emit": (0,),
    "_emit_all": (0,),
    "_kill": (1,),
    "_say": (1,),
    "_become": (0,),
    "_wait": (2,),
    "condition": (1,),
    "is_true": (1,),
    "note": (1, 3),
    "record": (1,),
    "report": (1,),
    "tell": (1,),
}
"""The same for positional arguments."""


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_word(node: ast.expr) -> bool:
    """A literal in the form of a term, wherever in the expression it is: `"Ready" if ok else "Failed"` too."""
    literals = [each for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    words = {each.value for each in literals} - {"True", "False"}  # of a comparison with the status of a condition
    return any(re.fullmatch(r"[A-Z][A-Za-z,]*( [a-z]+)*", each) for each in words)


def _terms_of(call: ast.Call) -> Iterator[ast.expr]:
    name = _name(call)
    # Subclasses of DriverError and the like take their reason by keyword, and the API's Cause and Status do not.
    words = KEYWORDS.get(name, ())
    yield from (each.value for each in call.keywords if each.arg in words)
    yield from (call.args[at] for at in POSITIONS.get(name, ()) if at < len(call.args))


def literals_in(source: str) -> list[int]:
    """The lines on which a term is written as a literal."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [each.lineno for each in _terms_of(node) if _is_word(each)]
        elif isinstance(node, ast.Assign):
            phases = [each for each in node.targets if isinstance(each, ast.Attribute) and each.attr == "phase"]
            found += [node.lineno for _ in phases if _is_word(node.value)]
    return sorted(found)


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (each for each in (ROOT / package).rglob("*.py") if "tests" not in each.parts)


def all_terms() -> dict[str, list[type[Term]]]:
    """Every list of words, by where it is declared: the core's modules, and one of each managed service."""
    names = [f"services.{each.name}.conditions" for each in managed_services()]
    modules = [
        crds.conditions,
        crds.event_reasons,
        crds.phases,
        controller.health.finding,
        *(import_module(n) for n in names if find_spec(n)),
    ]
    return {
        module.__name__: [
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, Term) and each.__module__ == module.__name__
        ]
        for module in modules
    }


LISTS = [each for lists in all_terms().values() for each in lists]


def test_no_phase_or_reason_is_a_literal() -> None:
    found = [
        f"{each.relative_to(ROOT)}:{line}" for each in sources() for line in literals_in(each.read_text("utf-8"))
    ]
    assert found == [], "write them as members of an enum in crds/conditions.py and its neighbours"


@pytest.mark.parametrize(
    "source",
    [
        'Condition(type="Ready", status="True", reason=Reason.READY)',
        'Condition(type=ConditionType.READY, status="True", reason="AllWell")',
        'world.events.record(worker, "WorkerReady", text)',
        'world.events.record(worker, EventReason.X if yes else "WorkerReady", text, warning=True)',
        'raise DriverError("no", reason="NameTaken")',
        'return again(1.0, "soon", reason="Waiting")',
        'status.note(service, "Ready", True, Reason.READY, "", now)',
        'service.status.phase = "Scaled to zero"',
        'is_true(worker.status.conditions, "Ready")',
    ],
)
def test_a_literal_is_found(source: str) -> None:
    assert literals_in(source) == [1]


def test_what_is_no_term_is_let_through() -> None:
    assert literals_in('done("Everything is there", reason=Reason.X); self._emit(EventReason.Y, "Started it")') == []


@pytest.mark.parametrize("words", LISTS, ids=lambda each: each.__name__)
def test_every_term_is_camel_case_and_explained(words: type[Term]) -> None:
    assert words.__doc__ and words.__doc__.endswith(".")
    for each in words:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+(,Cordoned)?", each.value), each.value
        assert each.description.endswith(".") and each.description[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ", each.value
        assert each.description.count("\n") == 0


def test_each_managed_service_with_words_declares_them_in_its_own_folder() -> None:
    assert {"services.key_manager.conditions", "services.storage_manager.conditions"} <= all_terms().keys()
