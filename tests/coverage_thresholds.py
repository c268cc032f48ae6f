"""`make coverage`: how much of each package unit tests reach, lines and branches together, and the least of it."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

THRESHOLDS = Path(__file__).with_name("coverage.toml")
Report = Mapping[str, Any]


def package_of(file: str) -> str:
    """The folder of a managed service, or the first folder of any other file."""
    parts = Path(file).parts
    return "/".join(parts[:2]) if parts[0] == "services" and len(parts) > 2 else parts[0]


def percentages(report: Report) -> dict[str, float]:
    """Of each package in a JSON report of coverage.py."""
    covered, there = Counter[str](), Counter[str]()
    for file, found in report["files"].items():
        summary, package = found["summary"], package_of(file)
        covered[package] += summary["covered_lines"] + summary["covered_branches"]
        there[package] += summary["num_statements"] + summary["num_branches"]
    return {package: 100 * covered[package] / count for package, count in sorted(there.items()) if count}


def faults(reached: Mapping[str, float], least: Mapping[str, float]) -> list[str]:
    """Every package below its threshold, and every one that has none, or is no more."""
    low = [
        f"{package}: {percent:.1f} % is covered, and {least[package]:g} % is the least"
        for package, percent in reached.items()
        if package in least and percent < least[package]
    ]
    unnamed = [f"{each}: no threshold; {reached[each]:.1f} % is covered" for each in sorted(reached.keys() - least)]
    return low + unnamed + [f"{each}: no such package" for each in sorted(least.keys() - reached)]


def main(file: str) -> int:
    reached = percentages(json.loads(Path(file).read_text()))
    for package, percent in reached.items():
        print(f"{percent:6.1f} %  {package}")
    found = faults(reached, tomllib.loads(THRESHOLDS.read_text())["least"])
    for each in found:
        print(f"error: {each} (tests/coverage.toml)", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
