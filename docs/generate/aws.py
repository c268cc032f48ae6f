"""The pages of docs/aws/: which operations of each AWS service are answered, and why the others are not."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from docs.generate.markdown import code, codes, page, table
from services.sdk.aws.coverage import Coverage, Served
from services.sdk.aws.model import load_model
from services.sdk.discovery import managed_services


def aws_pages() -> dict[str, str]:
    """A page for every API that a `coverage.py` speaks of, by file name."""
    names = (f"services.{each.name}.coverage" for each in managed_services())
    found = [import_module(name).COVERAGE for name in names if find_spec(name)]
    every: list[Coverage] = [each for one in found for each in (one if isinstance(one, tuple) else (one,))]
    return {f"{each.model}.md": coverage_page(each) for each in every}


def coverage_page(coverage: Coverage) -> str:
    """The page of one service."""
    rows = coverage.operations()
    done = {name: each for name, each in rows.items() if isinstance(each, Served)}
    refused = {name: each for name, each in rows.items() if isinstance(each, str)}
    title = load_model(coverage.model).metadata["serviceFullName"]
    lead = (
        f"{len(done)} of the {len(rows)} operations of {title} are done; the others answer {code(coverage.answer)}."
    )
    served = table(
        ("Operation", "Asks for", "Members that are refused"),
        ((code(name), code(each.permission), codes(each.refused)) for name, each in done.items()),
    )
    reasons: dict[str, list[str]] = {}
    for name, reason in refused.items():
        reasons.setdefault(reason, []).append(name)
    others = table(("Why", "Operations"), ((why, codes(names)) for why, names in reasons.items()))
    parts = ["## Done", coverage.notes, served, "## Refused", others]
    if coverage.differences:
        parts += ["## Otherwise than AWS", "\n".join(f"- {each}" for each in coverage.differences)]
    return page(title, lead, parts)
