"""Text of queries to trees, by promql-parser; what is refused here is refused with its name."""

from __future__ import annotations

import re
from typing import Any

import promql_parser
import re2

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.matcher import Matcher

LONGEST_QUERY, MOST_OPERATORS, DEEPEST = 16_384, 200, 60
_QUOTED = re2.compile(r'(?s)"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#[^\n]*')
_OPERATOR = re.compile(r"[-+*/%^<>]|==|!=|\b(?:and|or|unless|atan2)\b", re.I)
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def parsed(query: str) -> Any:
    """The tree of an expression. Raises QueryError."""
    _require_small(query)
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise QueryError(f'invalid parameter "query": {error}', "bad_data") from None


def _require_small(query: str) -> None:
    """The parser takes its time for what is nested deeply, and each look at a part of a tree copies the part. Raises
    QueryError.
    """
    if len(query) > LONGEST_QUERY:
        raise QueryError(f"the query has more than {LONGEST_QUERY} characters", "bad_data")
    bare = _QUOTED.sub(" ", query)
    if sum(1 for _ in _OPERATOR.finditer(bare)) > MOST_OPERATORS:
        raise QueryError(f"the query has more than {MOST_OPERATORS} operators", "bad_data")
    deep = 0
    for each in bare:
        deep += (each in "([{") - (each in ")]}")
        if deep > DEEPEST:
            raise QueryError(f"the query has more than {DEEPEST} brackets in one another", "bad_data")


def matchers_of(selector: Any) -> list[list[Matcher]]:
    """The alternatives of a selector, each a list of what must hold."""
    name = [Matcher("__name__", "=", selector.name)] if selector.name else []
    alternatives = selector.matchers.or_matchers or [selector.matchers.matchers]
    return [name + [_matcher(each) for each in group] for group in alternatives]


def selector_matchers(text: str) -> list[list[Matcher]]:
    """Of a `match[]`. Raises QueryError."""
    tree = parsed(text)
    if not isinstance(tree, promql_parser.VectorSelector):
        raise QueryError(f'invalid parameter "match[]": {text} is no series selector', "bad_data")
    return matchers_of(tree)


def _matcher(each: Any) -> Matcher:
    return Matcher(each.name, _OPERATORS[str(each.op).rpartition(".")[2]], each.value)
