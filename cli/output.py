"""Output to people: results on stdout, errors and progress on stderr, JSON and YAML for programs."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from typing import Any, TextIO

# What steers a terminal (Cc), or turns the direction of what follows (bidirectional controls, Trojan Source).
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_KEPT = frozenset("\n\t")


def plain(text: str) -> str:
    """`text` with nothing in it that a terminal obeys: shown as `\\u001b`, which JSON reads as what it was.

    Names are harmless, but messages, labels, images and logs are what somebody else wrote.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if _steers(each) else each for each in text)


def _steers(each: str) -> bool:
    return each not in _KEPT and (each in _TURNING or unicodedata.category(each) == "Cc")


def say(text: str) -> None:
    """One result. A closed pipe (`| head`) is no error."""
    write(plain(text))


def has_colours(stream: TextIO) -> bool:
    """Whether it is a terminal whose user did not say otherwise (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(text: str) -> None:
    """`text` as it is: what it holds of others' words must have gone through `plain`."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain again at exit, when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def ask(question: str) -> str:
    """The line somebody types in answer, on a terminal. The question is no part of the output."""
    sys.stderr.write(plain(question))
    sys.stderr.flush()
    return sys.stdin.readline()


def complain(text: str) -> None:
    sys.stderr.write(f"{plain(text)}\n")


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

            self._spinner.update(escape(plain(text)))
        else:
            complain(f"... {text}")
