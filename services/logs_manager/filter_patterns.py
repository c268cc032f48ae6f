"""Filter patterns of CloudWatch Logs: terms, and conditions on JSON.

Source: Amazon CloudWatch Logs User Guide, "Filter pattern syntax". Terms are found as they stand, anywhere in a line.
Patterns for space-delimited lines (`[ip, user, ...]`) are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.matching import compiled
from services.logs_manager.logql.stages import COMPARE

LONGEST_PATTERN, DEEPEST = 1_024, 20
Test = Callable[[str], bool]
JsonTest = Callable[[Any], bool]
_MISSING = object()


class FilterPattern(NamedTuple):
    """`needles`: what every line that matches holds."""

    matches: Test
    needles: list[bytes]


def pattern_of(text: str) -> FilterPattern:
    """Raises QueryFault."""
    if len(text) > LONGEST_PATTERN:
        raise QueryFault(f"filterPattern has more than {LONGEST_PATTERN} characters")
    stripped = text.strip()
    if stripped.startswith("{"):
        return FilterPattern(_json_test(stripped), [])
    if stripped.startswith("["):
        raise QueryFault("filterPattern: patterns of space-delimited lines ([a, b, ...]) are not done here")
    return _terms(stripped)


class _Term(NamedTuple):
    sign: str
    text: str
    is_expression: bool


def _terms(text: str) -> FilterPattern:
    terms, at = list[_Term](), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        term, at = _term(text, at)
        terms.append(term)
    wanted = [each for each in terms if each.sign == ""]
    any_of = [_test(each) for each in terms if each.sign == "?"]
    none_of = [_test(each) for each in terms if each.sign == "-"]
    if any_of and (wanted or none_of):
        raise QueryFault("filterPattern: ?terms stand for themselves, not beside others")
    if any_of:
        return FilterPattern(lambda line: any(test(line) for test in any_of), [])
    all_of = [_test(each) for each in wanted]
    needles = [each.text.encode("utf-8", "replace") for each in wanted if not each.is_expression]

    def matches(line: str) -> bool:
        return all(test(line) for test in all_of) and not any(test(line) for test in none_of)

    return FilterPattern(matches, needles)


def _term(text: str, at: int) -> tuple[_Term, int]:
    sign = text[at] if text[at] in "?-" else ""
    at += len(sign)
    quote = text[at : at + 1]
    if quote in ('"', "%") and quote:
        end, found = at + 1, []
        while end < len(text) and text[end] != quote:
            if text[end] == "\\" and quote == '"' and text[end + 1 : end + 2] in ('"', "\\"):
                end += 1
            found.append(text[end])
            end += 1
        if end >= len(text) or not found:
            raise QueryFault(f"filterPattern: what begins with {quote} at {at + 1} has no end, or nothing in it")
        return _Term(sign, "".join(found), quote == "%"), end + 1
    end = at
    while end < len(text) and not text[end].isspace():
        end += 1
    if end == at:
        raise QueryFault(f"filterPattern: there is no term after {sign}")
    return _Term(sign, text[at:end], False), end


def _test(term: _Term) -> Test:
    if term.is_expression:
        search = compiled(term.text, whole=False).search
        return lambda line: search(line) is not None
    return lambda line: term.text in line


def _json_test(text: str) -> Test:
    reader = _JsonReader(text)
    test = reader.read()

    def matches(line: str) -> bool:
        if line[:1] not in "{ \t[":
            return False
        try:
            return test(orjson.loads(line))
        except ValueError:
            return False

    return matches


_SIGNS = ("&&", "||", "!=", ">=", "<=", "=", "<", ">", "(", ")", "{", "}")


class _JsonReader:
    def __init__(self, text: str) -> None:
        self._words, self._at, self._depth = _words(text), 0, 0

    def read(self) -> JsonTest:
        self._expect("{")
        test = self._any()
        self._expect("}")
        if self._here:
            raise QueryFault(f"filterPattern: {self._here!r} comes after the end")
        return test

    @property
    def _here(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._here
        self._at += 1
        return word

    def _expect(self, word: str) -> None:
        if self._here != word:
            raise QueryFault(f"filterPattern: {word!r} is expected, not {self._here or 'the end'!r}")
        self._next()

    def _any(self) -> JsonTest:
        tests = [self._all()]
        while self._here == "||":
            self._next()
            tests.append(self._all())
        return lambda value: any(test(value) for test in tests)

    def _all(self) -> JsonTest:
        tests = [self._one()]
        while self._here == "&&":
            self._next()
            tests.append(self._one())
        return lambda value: all(test(value) for test in tests)

    def _one(self) -> JsonTest:
        if self._here == "(":
            self._depth += 1
            if self._depth > DEEPEST:
                raise QueryFault(f"filterPattern has more than {DEEPEST} brackets in one another")
            self._next()
            test = self._any()
            self._expect(")")
            self._depth -= 1
            return test
        path = _path(self._next())
        word = self._next()
        if word.upper() in ("IS", "NOT", "EXISTS"):
            return self._existence(path, word.upper())
        if word not in ("=", "!=", "<", ">", "<=", ">="):
            raise QueryFault(f"filterPattern: {word or 'the end'!r} is no comparison")
        value = self._next()
        if not value or value in _SIGNS:
            raise QueryFault(f"filterPattern: a value is expected after {word}")
        return _comparison(path, word, value)

    def _existence(self, path: list[str | int], word: str) -> JsonTest:
        if word == "EXISTS":
            return lambda value: _at(value, path) is not _MISSING
        following = self._next().upper()
        if (word, following) == ("NOT", "EXISTS"):
            return lambda value: _at(value, path) is _MISSING
        wanted = {"TRUE": True, "FALSE": False, "NULL": None}
        if word == "NOT" or following not in wanted:
            raise QueryFault(
                f"filterPattern: {word} {following} is not understood: IS TRUE, IS FALSE, IS NULL, NOT EXISTS"
            )
        return lambda value: _at(value, path) is wanted[following]


def _words(text: str) -> list[str]:
    found, at = list[str](), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        sign = next((each for each in _SIGNS if text.startswith(each, at)), "")
        if sign:
            found.append(sign)
            at += len(sign)
        elif text[at] in '"%':
            end = text.find(text[at], at + 1)
            if end < 0:
                raise QueryFault(f"filterPattern: the text at {at + 1} has no end")
            found.append(text[at : end + 1])
            at = end + 1
        else:
            end = at
            while end < len(text) and not text[end].isspace() and not text.startswith(_SIGNS, end):
                end += 1
            found.append(text[at:end])
            at = end
    return found


def _path(word: str) -> list[str | int]:
    """Of `$.a.b[0]`. Raises QueryFault."""
    if not word.startswith("$"):
        raise QueryFault(f"filterPattern: {word or 'the end'!r} is no path such as $.status")
    found: list[str | int] = []
    for part in word.removeprefix("$").split("."):
        name, *indexes = part.split("[")
        if name:
            found.append(name)
        for each in indexes:
            number = each.removesuffix("]")
            if not (each.endswith("]") and number.isascii() and number.isdigit() and len(number) < 7):
                raise QueryFault(f"filterPattern: {word!r} is no path such as $.items[0].name")
            found.append(int(number))
    if not found:
        raise QueryFault(f"filterPattern: {word!r} names nothing")
    return found


def _at(value: Any, path: list[str | int]) -> Any:
    for each in path:
        if isinstance(each, str):
            value = value.get(each, _MISSING) if isinstance(value, dict) else _MISSING
        else:
            value = value[each] if isinstance(value, list) and each < len(value) else _MISSING
    return value


def _comparison(path: list[str | int], op: str, word: str) -> JsonTest:
    number = None if word.startswith(("%", '"')) else _number(word)
    if number is not None:
        return _number_test(path, op, number)
    if op not in ("=", "!="):
        raise QueryFault(f"filterPattern: {op} compares numbers, {word!r} is none")
    text = word.strip('"') if word.startswith('"') else word
    test = _text_test(text)

    def matches(value: Any) -> bool:
        found = _at(value, path)
        if found is _MISSING or isinstance(found, dict | list):
            return False
        said = found if isinstance(found, str) else orjson.dumps(found).decode()
        return test(said) is (op == "=")

    return matches


def _text_test(text: str) -> Test:
    if text.startswith("%"):
        search = compiled(text.strip("%"), whole=False).search
        return lambda said: search(said) is not None
    if "*" in text:
        import re2

        whole = compiled(".*".join(re2.escape(each) for each in text.split("*")), whole=True).search
        return lambda said: whole(said) is not None
    return lambda said: said == text


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _number_test(path: list[str | int], op: str, wanted: float) -> JsonTest:
    compare = COMPARE["==" if op == "=" else op]

    def matches(value: Any) -> bool:
        found = _at(value, path)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return compare(found, wanted)
        return op == "!=" and found is not _MISSING and not isinstance(found, dict | list)

    return matches
