"""docs/reference/conditions.md, events.md and findings.md: every phase, condition type, reason and code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from controller.health.finding import Code
from crds import conditions, event_reasons, phases
from crds.term import Term
from docs.generate.markdown import code, page, paragraph, table
from services.sdk.discovery import managed_services

CONDITIONS_LEAD = """\
Words in the status of resources. A phase is the one word for where a resource stands; a condition says
whether something holds (`True`, `False`, `Unknown`), with a reason for programs and a message for people. Reasons
that come from the API itself (`Conflict`, `Forbidden`, `Invalid`, ...) are those of Kubernetes and not listed."""
EVENTS_LEAD = """\
Reasons of Events: what happened, for `aerekos events`, `kubectl get events` and programs that watch
them. An Event is kept for an hour. A pass of a reconciler that fails is an Event as well, of type `Warning`, with the
reason of the condition `Reconciled` ([conditions.md](conditions.md))."""

FINDINGS_LEAD = """\
Codes of the health report: what `aerekos status`, `aerekos doctor`, `/health/report` and the dashboard's Home find
wrong. Each finding has a severity (`critical`, `warning`, `info`), a message, the object it is about, and a fix."""


def conditions_page() -> str:
    """Phases and conditions of the core, then the words of each managed service."""
    core = [*_lists(phases), *_lists(conditions)]
    sections = [_section(each) for each in core]
    for service in managed_services():
        module = _module(f"services.{service.name}.conditions")
        if module:
            sections += [f"## Words of {service.name}", *(_section(each, "###") for each in _lists(module))]
    return page("Conditions and phases", CONDITIONS_LEAD, sections)


def events_page() -> str:
    """Events of the core, then those of each managed service that has some."""
    modules = [event_reasons, *(_module(f"services.{each.name}.event_reasons") for each in managed_services())]
    lists = [each for module in modules if module for each in _lists(module)]
    return page("Events", EVENTS_LEAD, [_section(each) for each in lists])


def findings_page() -> str:
    """Codes of the health report."""
    return page("Findings", FINDINGS_LEAD, [_section(Code)])


def _module(name: str) -> ModuleType | None:
    return import_module(name) if find_spec(name) else None


def _lists(module: ModuleType) -> Iterator[type[Term]]:
    """The lists of words that a module declares, in its order."""
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Term) and each.__module__ == module.__name__:
            yield each


def _section(words: type[Term], level: str = "##") -> str:
    rows: Iterable[tuple[str, str]] = ((code(each.value), each.description) for each in words)
    return f"{level} {words.__name__}\n\n{paragraph(words.__doc__ or '')}\n\n{table(['Word', 'Meaning'], rows)}"
