"""The pages of docs/reference/ and docs/aws/, by file name."""

from __future__ import annotations

from pathlib import Path

from docs.generate.aws import aws_pages
from docs.generate.commands import cli_page
from docs.generate.kinds import kinds_page
from docs.generate.metrics import metrics_page
from docs.generate.settings import settings_page
from docs.generate.words import conditions_page, events_page, findings_page

FOLDER = Path(__file__).parents[1] / "reference"
AWS_FOLDER = Path(__file__).parents[1] / "aws"
_MAKERS = {
    "kinds.md": kinds_page,
    "cli.md": cli_page,
    "settings.md": settings_page,
    "conditions.md": conditions_page,
    "events.md": events_page,
    "findings.md": findings_page,
    "metrics.md": metrics_page,
}


def folders() -> dict[Path, dict[str, str]]:
    """Every folder that is made, with all its pages."""
    return {FOLDER: pages(), AWS_FOLDER: aws_pages()}


def pages() -> dict[str, str]:
    """Every page as it should be now."""
    return {name: make() for name, make in _MAKERS.items()}
