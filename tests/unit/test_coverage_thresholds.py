"""The gate of `make coverage` itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from coverage_thresholds import faults, main, percentages


def measured(covered: int, lines: int, branches_covered: int = 0, branches: int = 0) -> dict[str, Any]:
    return {
        "summary": {
            "covered_lines": covered,
            "num_statements": lines,
            "covered_branches": branches_covered,
            "num_branches": branches,
        }
    }


REPORT = {
    "files": {
        "api/app.py": measured(8, 10, 1, 2),
        "api/kube/rest.py": measured(3, 4, 0, 4),
        "services/key_manager/app.py": measured(5, 5),
        "services/__init__.py": measured(0, 0),
        "crds/kind.py": measured(1, 2),
    }
}


def test_lines_and_branches_of_a_package_count_together() -> None:
    assert percentages(REPORT) == {"api": 60.0, "crds": 50.0, "services/key_manager": 100.0}


def test_what_falls_below_and_what_has_no_threshold_is_named() -> None:
    assert faults({"api": 60.0, "crds": 50.0}, {"api": 60, "crds": 50}) == []
    assert faults({"api": 59.9, "crds": 50.0}, {"api": 60, "cli": 1}) == [
        "api: 59.9 % is covered, and 60 % is the least",
        "crds: no threshold; 50.0 % is covered",
        "cli: no such package",
    ]


def test_it_fails_with_the_package_and_the_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "coverage.json"
    file.write_text(json.dumps({"files": {"crds/kind.py": measured(0, 2)}}))
    assert main(str(file)) == 1
    told = capsys.readouterr()
    assert told.out == "   0.0 %  crds\n"
    assert "error: crds: 0.0 % is covered, and " in told.err and "(tests/coverage.toml)\n" in told.err
