"""Reads LogQL: what is done of it; the rest is refused by its name."""

from __future__ import annotations

from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.lexer import Token, tokens_of
from services.logs_manager.logql.nodes import (
    Aggregation,
    Both,
    Compare,
    Format,
    Grouping,
    LabelFilter,
    LineFilter,
    LogQuery,
    Matcher,
    MetricQuery,
    Number,
    Only,
    Operation,
    Parse,
    Query,
    RangeAggregation,
    Stage,
    Unwrap,
)

COUNTING = ("count_over_time", "rate", "bytes_over_time", "bytes_rate")
UNWRAPPING = ("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "quantile_over_time")
AGGREGATIONS = ("sum", "min", "max", "avg", "count", "topk", "bottomk")
_REFUSED = (
    *("absent_over_time", "first_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time"),
    *("rate_counter", "approx_topk", "stddev", "stdvar", "sort", "sort_desc", "label_replace", "variants"),
    *("unpack", "decolorize", "ip"),
)
_LINE_FILTERS = ("|=", "!=", "|~", "!~")
_TEXT_OPS, _NUMBER_OPS = ("=", "!=", "=~", "!~"), ("==", "!=", ">", ">=", "<", "<=", "=")
_PRECEDENCE = {"or": 1, "and": 2, "unless": 2}
_PRECEDENCE |= dict.fromkeys(("==", "!=", ">", ">=", "<", "<="), 3) | {"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6}
DEEPEST, MOST_PARTS, LONGEST_RANGE = 40, 100, 100 * 365 * 86_400


def parse(text: str) -> Query:
    """Raises QueryFault."""
    reader = _Reader(tokens_of(text))
    found = reader.query()
    reader.expect("end")
    return found


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """Of `{job="web"}` alone. Raises QueryFault."""
    reader = _Reader(tokens_of(text))
    found = reader.selector()
    reader.expect("end")
    return found


class _Reader:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at, self._depth, self._parts = tokens, 0, 0, 0

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def next(self) -> Token:
        token = self.here
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def take(self, *kinds: str) -> Token | None:
        return self.next() if self.here.kind in kinds else None

    def word(self, *words: str) -> bool:
        if self.here.kind == "name" and self.here.text in words:
            self.next()
            return True
        return False

    def expect(self, kind: str, what: str = "") -> Token:
        if self.here.kind != kind:
            raise self._fault(what or f"{kind} is expected")
        return self.next()

    def _fault(self, because: str) -> QueryFault:
        found = self.here.text or "the end"
        return QueryFault(f"at {self.here.at + 1}, near {found[:40]!r}: {because}")

    def query(self) -> Query:
        return self._log_query() if self.here.kind == "{" else self.metric()

    # selectors and pipelines

    def selector(self) -> tuple[Matcher, ...]:
        self.expect("{", 'a selector such as {service="web"} is expected')
        found = []
        while self.here.kind != "}":
            name = self.expect("name", "the name of a label is expected").text
            op = self.take(*_TEXT_OPS)
            if op is None:
                raise self._fault("one of = != =~ !~ is expected")
            found.append(Matcher(name, op.kind, self.expect("string", "a text in quotes is expected").text))
            if not self.take(","):
                break
        self.expect("}")
        return tuple(found)

    def _log_query(self) -> LogQuery:
        matchers, stages = self.selector(), []
        while (stage := self._stage()) is not None:
            stages.append(stage)
        return LogQuery(matchers, tuple(stages))

    def _stage(self) -> Stage | None:
        if (op := self.take(*_LINE_FILTERS)) is not None:
            return self._line_filter(op.kind)
        if self.here.kind in ("|>", "!>"):
            raise self._fault("pattern filters are not done here: use |= or |~")
        if not self.take("|"):
            return None
        if self.here.kind == "name" and (stage := self._named_stage()) is not None:
            return stage
        return self._label_filter()

    def _line_filter(self, op: str) -> LineFilter:
        values = [self._filter_text()]
        while self.word("or"):
            values.append(self._filter_text())
        return LineFilter(op, tuple(values))

    def _filter_text(self) -> str:
        if self.here.kind == "name" and self.here.text == "ip":
            raise self._fault("ip() is not done here")
        return self.expect("string", "a text in quotes is expected").text

    def _named_stage(self) -> Stage | None:
        """None where the word is a label's name."""
        follows = self._tokens[self._at + 1].kind
        word = self.here.text
        if follows in (*_TEXT_OPS, *_NUMBER_OPS):
            return None
        self.next()
        if word in ("json", "logfmt"):
            return Parse(word, self._wanted_fields(word))
        if word in ("regexp", "pattern"):
            return Parse(word, (), self.expect("string", "a text in quotes is expected").text)
        if word == "line_format":
            return Format("", self.expect("string", "a template in quotes is expected").text)
        if word == "label_format":
            return self._label_format()
        if word in ("drop", "keep"):
            return self._only(word == "keep")
        if word == "unwrap":
            return self._unwrap()
        self._at -= 1
        why = f"{word} is not done here" if word in _REFUSED else f"there is no stage {word}"
        raise self._fault(why)

    def _wanted_fields(self, how: str) -> tuple[tuple[str, str], ...]:
        if self.here.kind == "-":
            raise self._fault(f"flags of {how} are not done here")
        found = []
        while self.here.kind == "name":
            name = self.next().text
            found.append((name, self.expect("string").text if self.take("=") else name))
            if not self.take(","):
                break
        return tuple(found)

    def _label_format(self) -> Format:
        name = self.expect("name", "the name of a label is expected").text
        self.expect("=")
        other = self.take("name")
        found = Format(name, other.text, True) if other else Format(name, self.expect("string").text)
        if self.here.kind == ",":
            raise self._fault("one label at a time: write | label_format again")
        return found

    def _only(self, keep: bool) -> Only:
        names, matchers = [], []
        while True:
            name = self.expect("name", "the name of a label is expected").text
            if (op := self.take(*_TEXT_OPS)) is not None:
                matchers.append(Matcher(name, op.kind, self.expect("string").text))
            else:
                names.append(name)
            if not self.take(","):
                return Only(keep, tuple(names), tuple(matchers))

    def _unwrap(self) -> Unwrap:
        name = self.expect("name", "the name of a label is expected").text
        if not self.take("("):
            return Unwrap(name, "")
        if name not in ("duration", "duration_seconds", "bytes"):
            raise self._fault(f"{name} is no conversion: there are duration, duration_seconds and bytes")
        label = self.expect("name").text
        self.expect(")")
        return Unwrap(label, name)

    def _label_filter(self) -> LabelFilter:
        left = self._and_filter()
        while self.word("or"):
            self._more()
            left = Both("or", left, self._and_filter())
        return left

    def _and_filter(self) -> LabelFilter:
        left = self._comparison()
        while self.here.kind == "," or (self.here.kind == "name" and self.here.text == "and"):
            self.next()
            self._more()
            left = Both("and", left, self._comparison())
        return left

    def _comparison(self) -> LabelFilter:
        if self.take("("):
            self._deeper()
            found = self._label_filter()
            self.expect(")")
            self._depth -= 1
            return found
        name = self.expect("name", "a label filter such as status >= 500 is expected").text
        op = self.take(*_TEXT_OPS, *_NUMBER_OPS)
        if op is None:
            raise self._fault("a comparison is expected")
        if (text := self.take("string")) is not None:
            if op.kind not in _TEXT_OPS:
                raise self._fault(f"{op.kind} compares numbers, durations and sizes, which stand without quotes")
            return Compare(name, op.kind, text.text)
        sign = -1.0 if self.take("-") else 1.0
        number = self.take("number", "duration", "bytes")
        if number is None or op.kind not in _NUMBER_OPS:
            if self.here.kind == "name" and self.here.text == "ip":
                raise self._fault("ip() is not done here")
            raise self._fault("a text in quotes, a number, a duration or a size is expected")
        return Compare(name, "==" if op.kind == "=" else op.kind, sign * number.value, number.kind)

    # metrics

    def metric(self, least: int = 0) -> MetricQuery:
        self._deeper()
        left = self._operand()
        while (power := self._power()) > least:
            self._more()
            op = self.next().text
            as_bool = self.word("bool")
            if self.here.kind == "name" and self.here.text in ("on", "ignoring"):
                raise self._fault(f"{self.here.text} is not done here: both sides are matched by all labels")
            if op in ("or", "and", "unless"):
                raise self._fault(f"{op} between metrics is not done here")
            right = self.metric(power - 1 if op == "^" else power)
            left = Operation(op, left, right, as_bool)
        self._depth -= 1
        return left

    def _power(self) -> int:
        return _PRECEDENCE.get(self.here.text, 0) if self.here.kind in _PRECEDENCE or self.here.kind == "name" else 0

    def _operand(self) -> MetricQuery:
        if self.take("("):
            found = self.metric()
            self.expect(")")
            return found
        sign = -1.0 if self.take("-") else 1.0
        if (number := self.take("number")) is not None:
            return Number(sign * number.value)
        if sign < 0:
            raise self._fault("a number is expected")
        return self._call(self.expect("name", "a selector, a function or a number is expected").text)

    def _call(self, name: str) -> MetricQuery:
        if name == "vector":
            self.expect("(")
            found = Number(self.expect("number").value, is_vector=True)
            self.expect(")")
            return found
        if name in AGGREGATIONS:
            return self._aggregation(name)
        if name in COUNTING or name in UNWRAPPING:
            return self._range_aggregation(name)
        self._at -= 1
        raise self._fault(f"{name} is not done here" if name in _REFUSED else f"there is no function {name}")

    def _aggregation(self, name: str) -> Aggregation:
        grouping = self._grouping()
        self.expect("(")
        parameter = 0
        if name in ("topk", "bottomk"):
            number = self.expect("number", f"{name} takes how many first")
            if number.value != int(number.value) or not 1 <= number.value <= 1000:
                raise self._fault(f"{name} takes a whole number from 1 to 1000")
            parameter = int(number.value)
            self.expect(",")
        inner = self.metric()
        self.expect(")")
        return Aggregation(name, inner, grouping or self._grouping(), parameter)

    def _grouping(self) -> Grouping | None:
        if self.here.kind != "name" or self.here.text not in ("by", "without"):
            return None
        without = self.next().text == "without"
        self.expect("(")
        names = []
        while self.here.kind == "name":
            names.append(self.next().text)
            if not self.take(","):
                break
        self.expect(")")
        return Grouping(without, tuple(names))

    def _range_aggregation(self, name: str) -> RangeAggregation:
        self.expect("(")
        parameter = 0.0
        if name == "quantile_over_time":
            parameter = self.expect("number", "quantile_over_time takes the quantile first").value
            self.expect(",")
        wrapped = self.take("(")
        matchers, stages, seconds = self.selector(), list[Stage](), 0.0
        while True:
            if self.here.kind == "[" and not seconds:
                seconds = self._range()
            elif (stage := self._stage()) is not None:
                stages.append(stage)
            else:
                break
        if wrapped:
            self.expect(")")
        seconds = seconds or (self._range() if self.here.kind == "[" else 0.0)
        if not seconds:
            raise self._fault(f"{name} takes a range such as [5m]")
        offset = self._offset()
        self.expect(")")
        grouping = self._grouping()
        self._require_fitting(name, stages, grouping)
        return RangeAggregation(name, LogQuery(matchers, tuple(stages)), seconds, offset, grouping, parameter)

    def _require_fitting(self, name: str, stages: list[Stage], grouping: Grouping | None) -> None:
        unwraps = any(isinstance(each, Unwrap) for each in stages)
        if name in UNWRAPPING and not unwraps:
            raise self._fault(f"{name} takes | unwrap LABEL before the range")
        if name in COUNTING and unwraps:
            raise self._fault(f"{name} counts lines: leave out unwrap")
        if grouping is not None and name in COUNTING:
            raise self._fault(f"{name} takes no by: write sum by (...) ({name}(...))")

    def _range(self) -> float:
        self.expect("[")
        found = self.expect("duration", "a duration such as 5m is expected").value
        self.expect("]")
        if not 0 < found <= LONGEST_RANGE:
            raise self._fault("the range is nothing, or more than a hundred years")
        return found

    def _offset(self) -> float:
        if not self.word("offset"):
            return 0.0
        sign = -1.0 if self.take("-") else 1.0
        found = self.expect("duration", "a duration such as 5m is expected").value
        if found > LONGEST_RANGE:
            raise self._fault("the offset is more than a hundred years")
        return sign * found

    def _more(self) -> None:
        """What is computed part within part, however it is written."""
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise QueryFault(f"the query has more than {MOST_PARTS} operations, or conditions joined by and or or")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryFault(f"the query has more than {DEEPEST} brackets in one another")
