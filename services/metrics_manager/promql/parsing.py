"""Text of queries to trees, by promql-parser; what is refused here is refused with its name."""

from __future__ import annotations

from typing import Any

import promql_parser

from services.metrics_manager.promql.errors import NotSupported, QueryError
from services.metrics_manager.promql.matcher import Matcher

LONGEST_QUERY = 16_384
REFUSED = frozenset(
    [
        "histogram_avg",
        "histogram_count",
        "histogram_sum",
        "histogram_stddev",
        "histogram_stdvar",
        "histogram_quantiles",
        "info",
        "double_exponential_smoothing",
    ]
)
"""Of native histograms, and experimental ones."""
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def parsed(query: str) -> Any:
    """The tree of an expression. Raises QueryError."""
    if len(query) > LONGEST_QUERY:
        raise QueryError(f"the query has more than {LONGEST_QUERY} characters", "bad_data")
    try:
        tree = promql_parser.parse(query)
    except ValueError as error:
        raise QueryError(f'invalid parameter "query": {error}', "bad_data") from None
    refused = _refused(tree)
    if refused:
        raise NotSupported(refused)
    return tree


def _refused(tree: Any) -> str:
    found: list[str] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.Call) and node.func.name in REFUSED:
            found.append(f"the function {node.func.name}")
        if isinstance(node, promql_parser.AggregateExpr) and str(node.op) == "limit_ratio":
            found.append("the aggregation limit_ratio")
        return not found

    promql_parser.walk(tree, visit)
    return found[0] if found else ""


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
