"""Log lines: one JSON object each, with the fields they were given."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from api.logging import configure_logging
configure_logging("info")
log = structlog.get_logger("x")
log.debug("not told")
log.info("answered", code=200, path="/a\\nb")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
logging.getLogger("library").warning("from elsewhere")
print("out")
"""


def test_lines_are_json_on_stderr_and_nothing_else_is_on_stdout() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    first, failed, foreign = done.stderr.splitlines()
    told = json.loads(first)
    assert (told["event"], told["code"], told["level"], told["path"]) == ("answered", 200, "info", "/a\nb")
    assert told["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in json.loads(failed)["exception"]
    assert "from elsewhere" in foreign
    assert done.stdout == "out\n"
