"""Reads queries of CloudWatch Logs Insights: what is done of the language; the rest is refused by its name.

    fields @timestamp, @message as text | filter status >= 500 and @message like /time(out|d)/ | sort @timestamp desc
    | limit 20        stats count(*) as n, avg(ms) by bin(5m), service

Source: Amazon CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax". Fields of JSON lines are
found by their paths (`user.name`).
"""

from __future__ import annotations

from collections.abc import Sequence

from services.logs_manager.insights import Aggregate, Query, Record, Shown, Test, said_time
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.lexer import number_of, seconds_of
from services.logs_manager.logql.matching import compiled
from services.logs_manager.logql.stages import COMPARE

LONGEST_QUERY, DEFAULT_LIMIT, MOST_ROWS, MOST_COLUMNS, DEEPEST = 10_000, 1_000, 10_000, 50, 30
_COMMANDS = ("fields", "display", "filter", "sort", "limit", "stats")
_NOT_AFTER = {
    "display": ("stats",),
    "stats": ("fields", "filter", "stats"),
    "sort": ("sort", "stats"),
    "limit": ("filter", "limit", "sort", "stats"),
}
"""What would be another query where it is done in the order of writing, and is refused."""
_REFUSED = (
    "parse",
    "dedup",
    "pattern",
    "diff",
    "unmask",
    "unnest",
    "anomaly",
    "source",
    "lookup",
    "join",
    "filterindex",
)
_AGGREGATES = ("count", "sum", "avg", "min", "max", "count_distinct")
_SIGNS = ("!=", ">=", "<=", "=~", "=", "<", ">", "(", ")", ",", "|", "*", "[", "]")


def parse_query(text: str, most: int) -> Query:
    """`most`: rows that are wanted, where the query does not say. Raises QueryFault."""
    if len(text) > LONGEST_QUERY:
        raise QueryFault(f"queryString has more than {LONGEST_QUERY} characters")
    return _Reader(_words(text)).query(most)


def _words(text: str) -> list[str]:
    found, at = list[str](), 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char == "#":
            at = (text + "\n").index("\n", at)
        elif char in "\"'`/":
            end = at + 1
            while end < len(text) and text[end] != char:
                end += 2 if text[end] == "\\" and char != "`" else 1
            if end >= len(text):
                raise QueryFault(f"what begins with {char} at {at + 1} has no end")
            found.append(text[at : end + 1])
            at = end + 1
        elif sign := next((each for each in _SIGNS if text.startswith(each, at)), ""):
            found.append(sign)
            at += len(sign)
        else:
            end = at
            while end < len(text) and (text[end].isalnum() or text[end] in "_@.-$:"):
                end += 1
            if end == at:
                raise QueryFault(f"{char!r} at {at + 1} is not understood")
            found.append(text[at:end])
            at = end
    return found


class _Reader:
    def __init__(self, words: Sequence[str]) -> None:
        self._words, self._at, self._depth = words, 0, 0
        self._shown: list[Shown] = []
        self._displayed: list[Shown] = []
        self._tests: list[Test] = []
        self._sort: list[tuple[str, bool]] = []
        self._aggregates: list[Aggregate] = []
        self._by: list[Shown] = []
        self._renamed: dict[str, Shown] = {}
        self._limit = 0
        self._done: list[str] = []

    def query(self, most: int) -> Query:
        while self._here:
            self._command()
            self._require_few()
            if self._here and self._next() != "|":
                raise QueryFault(f"| is expected before {self._words[self._at - 1]!r}")
        shown = self._displayed or self._shown or [_column("@timestamp"), _column("@message")]
        if self._aggregates:
            shown = self._displayed
            self._require_columns_of_stats()
        limit = self._limit or most
        if not self._words:
            raise QueryFault("queryString is empty")
        return Query(
            tuple(shown), tuple(self._tests), tuple(self._sort), limit, tuple(self._aggregates), tuple(self._by)
        )

    def _require_columns_of_stats(self) -> None:
        there = {each.name for each in self._aggregates} | {each.name for each in self._by}
        for name in [each.name for each in self._displayed] + [name for name, _ in self._sort]:
            if name not in there:
                raise QueryFault(f"stats has no column {name[:40]}; it has {', '.join(sorted(there))[:400]}")

    def _require_few(self) -> None:
        for each in (self._shown, self._displayed, self._sort, self._aggregates, self._by):
            if len(each) > MOST_COLUMNS:
                raise QueryFault(f"there are {len(each)} columns; at most {MOST_COLUMNS}")

    @property
    def _here(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._here
        self._at += 1
        return word

    def _is(self, *words: str) -> bool:
        if self._here.lower() in words:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._is(word):
            raise QueryFault(f"{word!r} is expected, not {self._here or 'the end'!r}")

    def _command(self) -> None:
        word = self._next().lower()
        if word not in _COMMANDS:
            why = "is not done here" if word in _REFUSED else "is no command"
            raise QueryFault(f"{word[:40]!r} {why}; there are {', '.join(_COMMANDS)}")
        if before := next((each for each in self._done if word in _NOT_AFTER.get(each, ())), ""):
            raise QueryFault(f"{word} after {before} is not done here")
        self._done.append(word)
        getattr(self, f"_read_{word}")()

    def _read_fields(self) -> None:
        found = self._columns()
        self._shown += found
        self._renamed |= {each.name: each for each in found if each.is_renamed}

    def _read_display(self) -> None:
        """Columns of stats have their names already."""
        if not self._aggregates:
            self._displayed = self._columns()
            return
        self._displayed = [self._column()]
        while self._is(","):
            self._displayed.append(self._column())

    def _columns(self) -> list[Shown]:
        found = [self._named_column()]
        while self._is(","):
            found.append(self._named_column())
        return found

    def _named_column(self) -> Shown:
        column = self._column()
        return column._replace(name=self._name(), is_renamed=True) if self._is("as") else column

    def _column(self) -> Shown:
        name = self._name()
        if self._here != "(":
            return self._renamed.get(name) or _column(name)
        if name != "bin":
            raise QueryFault(f"the function {name} is not done here")
        self._expect("(")
        said = self._next()
        self._expect(")")
        seconds = seconds_of(said)
        if seconds is None or seconds < 1:
            raise QueryFault(f"bin({said}): is no period of a second or more")
        width = round(seconds) * 1_000_000_000
        return Shown(f"bin({said})", lambda record: said_time(record.at - record.at % width))

    def _name(self) -> str:
        word = self._next()
        if not word or word in _SIGNS or word[0] in "\"'/":
            raise QueryFault(f"the name of a field is expected, not {word or 'the end'!r}")
        return word.strip("`")

    def _field(self) -> str:
        """Of a line: tests and aggregates know none by another name."""
        if (name := self._name()) in self._renamed:
            raise QueryFault(f"{name[:40]} is a name that as gave: name the field itself")
        return name

    def _read_limit(self) -> None:
        word = self._next()
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= MOST_ROWS):
            raise QueryFault(f"limit: {word[:40]!r} is no count from 1 to {MOST_ROWS}")
        self._limit = int(word)

    def _read_sort(self) -> None:
        while True:
            name = self._name()
            if self._here == "(":
                self._at -= 1
                name = self._column().name
            descending = self._is("desc")
            if not descending:
                self._is("asc")
            self._sort.append((name, descending))
            if not self._is(","):
                return

    def _read_stats(self) -> None:
        while True:
            self._aggregates.append(self._aggregate())
            if not self._is(","):
                break
        if self._is("by"):
            self._by = self._columns()

    def _aggregate(self) -> Aggregate:
        function = self._next().lower()
        if function not in _AGGREGATES:
            raise QueryFault(f"stats {function[:40]} is not done here; there are {', '.join(_AGGREGATES)}")
        self._expect("(")
        field = "" if self._is("*") or self._here == ")" else self._field()
        self._expect(")")
        if not field and function != "count":
            raise QueryFault(f"{function} takes a field")
        said = f"{function}({field or '*'})"
        return Aggregate(self._name() if self._is("as") else said, function, field)

    def _read_filter(self) -> None:
        self._tests.append(self._any())

    def _any(self) -> Test:
        tests = [self._all()]
        while self._is("or"):
            tests.append(self._all())
        return lambda record: any(test(record) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._is("and"):
            tests.append(self._one())
        return lambda record: all(test(record) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryFault(f"the query has more than {DEEPEST} brackets in one another")
        found = self._negated() if self._is("not") else self._condition()
        self._depth -= 1
        return found

    def _negated(self) -> Test:
        test = self._one()
        return lambda record: not test(record)

    def _condition(self) -> Test:
        if self._is("("):
            test = self._any()
            self._expect(")")
            return test
        name = self._field()
        if name == "ispresent":
            self._expect("(")
            field = self._field()
            self._expect(")")
            return lambda record: bool(record.get(field))
        if self._here == "(":
            raise QueryFault(f"the function {name} is not done here")
        negated = self._is("not")
        op = self._next().lower()
        if op == "like" or op == "=~":
            test = _like(name, self._next())
        elif op == "in":
            test = self._among(name)
        elif op in ("=", "!=", "<", ">", "<=", ">=") and not negated:
            test = _compared(name, op, self._value())
        else:
            raise QueryFault(f"{op or 'the end'!r} after {name} is no comparison")
        return (lambda record: not test(record)) if negated else test

    def _among(self, name: str) -> Test:
        self._expect("[")
        values = {self._value()}
        while self._is(","):
            values.add(self._value())
        self._expect("]")
        return lambda record: record.get(name) in values

    def _value(self) -> str:
        word = self._next()
        if not word or word in _SIGNS or word[0] == "/":
            raise QueryFault(f"a value is expected, not {word or 'the end'!r}")
        return _unquoted(word)


def _column(name: str) -> Shown:
    return Shown(name, lambda record: record.get(name))


def _unquoted(word: str) -> str:
    if word[0] not in "\"'`":
        return word
    return word[1:-1].replace(f"\\{word[0]}", word[0]).replace("\\\\", "\\")


def _like(name: str, word: str) -> Test:
    """`like /expression/`, or a text that is found anywhere as it stands."""
    if word[:1] == "/" and len(word) > 1:
        search = compiled(word[1:-1].replace("\\/", "/"), whole=False).search
        return lambda record: search(record.get(name)) is not None
    if word[:1] not in ("'", '"') or not word:
        raise QueryFault(f"like takes a text in quotes or an expression in slashes, not {word or 'the end'!r}")
    text = _unquoted(word)
    return lambda record: text in record.get(name)


def _compared(name: str, op: str, value: str) -> Test:
    if op in ("=", "!="):
        number = number_of(value)

        def equals(record: Record) -> bool:
            found = record.get(name)
            return found == value or (number is not None and number_of(found) == number)

        return equals if op == "=" else lambda record: not equals(record)
    wanted = number_of(value)
    if wanted is None:
        raise QueryFault(f"{op} compares numbers, {value[:40]!r} is none")
    compare = COMPARE[op]

    def compares(record: Record) -> bool:
        found = number_of(record.get(name))
        return found is not None and compare(found, wanted)

    return compares
