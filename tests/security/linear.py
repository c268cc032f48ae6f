"""Is a regular expression linear? Decided from its tree, for the few shapes this code base needs.

Python's engine is slow where one text can be understood in many ways. So an expression is linear here when
- no repetition without a bound stands inside another one, nor a choice that one character does not decide,
- such a repetition cannot begin again with what may follow it (where it ends is then certain), except for the last,
- one that is searched for, not matched from the beginning, has such a repetition only at its end.
Everything else counts as not linear, even where a cleverer proof would find that it is.
"""

from __future__ import annotations

from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

FEW = 64  # a repetition of at most so many is as good as a constant
ALPHABET = frozenset(range(256))
Chars = frozenset[int]
END: Chars = frozenset({-1})
FROM_ANYWHERE = frozenset({"search", "sub", "subn", "findall", "finditer", "split"})


def not_linear(pattern: str | bytes, used_by: str) -> str:
    """Why it is not linear; empty when it is."""
    tree = parser.parse(pattern)
    reader = _Reader(tree.state.flags)
    anchored = used_by not in FROM_ANYWHERE
    follow = END if used_by == "fullmatch" else END | ALPHABET
    reader.sequence(list(tree), follow, inside=False, last=True, anchored=anchored)
    return "; ".join(reader.faults)


class _Reader:
    def __init__(self, flags: int) -> None:
        self.faults: list[str] = []
        self._flags = flags

    def sequence(self, items: list[Any], follow: Chars, *, inside: bool, last: bool, anchored: bool) -> None:
        """Looks at each item with what may come after it."""
        for index, item in enumerate(items):
            rest = items[index + 1 :]
            after = self._first(rest, follow)
            tail = last and not any(self._has_unbounded(each) for each in rest)
            self._item(item, after, inside=inside, last=tail, ends=last and not rest, anchored=anchored)

    def _item(self, item: Any, after: Chars, *, inside: bool, last: bool, ends: bool, anchored: bool) -> None:
        kind, value = item
        if kind in (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT):
            low, high, body = value
            unbounded = high is constants.MAXREPEAT or high > FEW
            if not unbounded:
                if inside and low != high and self._first(list(body), frozenset()) & after:
                    self.faults.append("a choice of lengths in a repetition")
                self.sequence(list(body), after | self._first(list(body), after), inside=inside, last=last,
                              anchored=anchored)  # fmt: skip
                return
            if inside or any(self._has_unbounded(each) for each in body):
                self.faults.append("a repetition in a repetition")
            if not anchored and not ends:
                self.faults.append("a search for something that begins again")
            first = self._first(list(body), frozenset())
            if first & after and not last and kind is not constants.POSSESSIVE_REPEAT:
                self.faults.append("a repetition that may end in many places")
            self.sequence(list(body), first | after, inside=True, last=False, anchored=anchored)
        elif kind is constants.SUBPATTERN:
            self.sequence(list(value[3]), after, inside=inside, last=last, anchored=anchored or False)
        elif kind is constants.BRANCH:
            firsts = [self._first(list(branch), after) for branch in value[1]]
            if inside and sum(map(len, firsts)) != len(frozenset[int]().union(*firsts)):
                self.faults.append("a choice of words that begin alike in a repetition")
            for branch in value[1]:
                self.sequence(list(branch), after, inside=inside, last=last, anchored=anchored)
        elif kind in (constants.ASSERT, constants.ASSERT_NOT):
            self.sequence(list(value[1]), END, inside=inside, last=True, anchored=anchored)
        elif kind in (constants.GROUPREF, constants.GROUPREF_EXISTS):
            self.faults.append("a reference to what was found")

    def _has_unbounded(self, item: Any) -> bool:
        kind, value = item
        if kind in (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT):
            return value[1] is constants.MAXREPEAT or value[1] > FEW or any(map(self._has_unbounded, value[2]))
        if kind is constants.SUBPATTERN:
            return any(map(self._has_unbounded, value[3]))
        if kind is constants.BRANCH:
            return any(self._has_unbounded(each) for branch in value[1] for each in branch)
        return False

    def _first(self, items: list[Any], follow: Chars) -> Chars:
        """With what that sequence may begin, given what comes after it."""
        for index, item in enumerate(items):
            chars, empty = self._begins(item)
            if not empty:
                return chars
            return chars | self._first(items[index + 1 :], follow)
        return follow

    def _begins(self, item: Any) -> tuple[Chars, bool]:
        """With what an item may begin, and whether it may be nothing."""
        kind, value = item
        if kind is constants.LITERAL:
            return frozenset({value & 0xFF, ord(chr(value).swapcase()[0]) & 0xFF}), False
        if kind is constants.NOT_LITERAL:
            return ALPHABET - {value}, False
        if kind is constants.IN:
            return self._set(value), False
        if kind is constants.ANY:
            return ALPHABET - {10}, False
        if kind in (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT):
            return self._first(list(value[2]), frozenset()), value[0] == 0
        if kind is constants.SUBPATTERN:
            inner = self._first(list(value[3]), END)
            return inner - END, bool(inner & END)
        if kind is constants.BRANCH:
            inner = frozenset[int]().union(*(self._first(list(each), END) for each in value[1]))
            return inner - END, bool(inner & END)
        return frozenset(), True  # an anchor, or a look around

    def _set(self, parts: list[Any]) -> Chars:
        found: set[int] = set()
        negated = False
        for kind, value in parts:
            if kind is constants.NEGATE:
                negated = True
            elif kind is constants.LITERAL:
                found.add(value & 0xFF)
            elif kind is constants.RANGE:
                found.update(range(value[0], min(value[1], 255) + 1))
            elif kind is constants.CATEGORY:
                found.update(each for each in ALPHABET if _in_category(value, chr(each)))
        return ALPHABET - found if negated else frozenset(found)


def _in_category(category: Any, char: str) -> bool:
    name = str(category)
    holds = (
        char.isdigit() if "DIGIT" in name else char.isspace() if "SPACE" in name else char.isalnum() or char == "_"
    )
    return holds != ("NOT" in name)
