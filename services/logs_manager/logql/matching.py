"""Whether labels and lines match, by RE2 where expressions do: their writers are outsiders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.nodes import Matcher

LONGEST_EXPRESSION, MOST_MEMORY = 4096, 1 << 20


@lru_cache(64)
def compiled(expression: str, *, whole: bool) -> Any:
    """`whole`: whether it has to match from beginning to end. Raises QueryFault."""
    import re2

    if len(expression) > LONGEST_EXPRESSION:
        raise QueryFault(f"a regular expression has more than {LONGEST_EXPRESSION} characters")
    options = re2.Options()
    options.log_errors, options.max_mem = False, MOST_MEMORY
    try:
        return re2.compile(f"^(?s:{expression})$" if whole else expression, options)
    except (re2.error, UnicodeEncodeError):
        raise QueryFault(f"{expression[:100]!r} is no regular expression of RE2") from None


def text_test(op: str, value: str) -> Callable[[str], bool]:
    """Of = != =~ !~. Raises QueryFault."""
    if op == "=":
        return lambda text: text == value
    if op == "!=":
        return lambda text: text != value
    search = compiled(value, whole=True).search
    if op == "=~":
        return lambda text: search(text) is not None
    return lambda text: search(text) is None


def selects(matchers: Sequence[Matcher]) -> Callable[[Mapping[str, str]], bool]:
    """Whether labels are meant. A label that is not there is empty. Raises QueryFault."""
    tests = [(each.name, text_test(each.op, each.value)) for each in matchers]
    return lambda labels: all(test(labels.get(name, "")) for name, test in tests)


def require_selective(matchers: Sequence[Matcher]) -> None:
    """As Loki: at least one matcher that an absent label does not satisfy. Raises QueryFault."""
    if not any(not text_test(each.op, each.value)("") for each in matchers):
        raise QueryFault(
            "the selector has to name something: at least one matcher that an empty text does not satisfy, such as "
            '{service=~".+"}'
        )
