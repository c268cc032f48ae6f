"""What people see: results on stdout, errors and progress on stderr, JSON and YAML for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def say(text: str) -> None:
    """One result. A closed pipe (`| head`) is no error."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain again at exit, when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def as_yaml(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).rstrip("\n")


class Progress:
    """What is being waited for: a spinner on a terminal, one line per change elsewhere. On stderr."""

    def __init__(self, first: str) -> None:
        self._text = first
        self._spinner: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console

            self._spinner = Console(stderr=True).status(self._text)
            self._spinner.start()
        else:
            complain(f"... {self._text}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner:
            self._spinner.stop()

    def now(self, text: str) -> None:
        """Says `text` when it is news."""
        if text == self._text:
            return
        self._text = text
        if self._spinner:
            from rich.markup import escape

            self._spinner.update(escape(text))
        else:
            complain(f"... {text}")
