"""How soon the dashboard can be used in headless Chromium, and whether it stays so among very many.

`python bench/page.py`. It needs Node and the dashboard (`make dashboard`) and a Chromium (`make browser`); without
them nothing is measured, and the reason is said. What is measured, and how, is in dashboard/journeys/speed.ts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from verdicts import Verdict, limit, table

BIN = Path(sys.executable).parent
DASHBOARD = Path(__file__).parents[1] / "dashboard"


def measure() -> list[Verdict]:
    """All of it; empty when something it needs is missing."""
    seen = _seen()
    if missing := seen.get("skip"):
        print(f"  the page is not measured: {missing}", file=sys.stderr)
        return []
    crowd = f"longest task, 1,000 services, {seen['crowd']['perSecond']:.0f} changes/s"
    return [
        limit("login can be used, nothing known, median of 3", statistics.median(seen["login"]), 1000, " ms"),
        limit("home can be used, logged in, median of 3", statistics.median(seen["home"]), 1000, " ms"),
        limit(f"{crowd}, CPU", seen["crowd"]["cpuMs"], 100, " ms"),
        Verdict(f"{crowd}, by the clock", seen["crowd"]["wallMs"], None, False, f"{seen['crowd']['wallMs']:.1f} ms"),
        limit("longest task, list of 1,000 beating machines, CPU", seen["machines"]["cpuMs"], 100, " ms"),
    ]


def _seen() -> dict[str, Any]:
    if not (BIN / "node").exists() or not (DASHBOARD / "dist" / ".built").exists():
        return {"skip": "the dashboard is not built: make dashboard"}
    command, env = [BIN / "node", "journeys/speed.ts"], {**os.environ, "AEREKOS": str(BIN / "aerekos")}
    done = subprocess.run(command, cwd=DASHBOARD, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"journeys/speed.ts failed: {done.stdout}{done.stderr}")
    return dict(json.loads(done.stdout))


def main() -> None:
    print(table(measure()))


if __name__ == "__main__":
    main()
