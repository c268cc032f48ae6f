"""Event patterns: what each operator means, against a slow model, and what is refused in AWS's words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.schedule_manager.events.patterns import Budget, BudgetFault, Event, PatternFault, parse_pattern


def fits(pattern: Any, event: Any) -> bool:
    return parse_pattern(json.dumps(pattern)).matches(Event(event))


@pytest.mark.parametrize(
    ("test", "values", "others"),
    [
        ("a", ["a", ["b", "a"]], ["A", 1, None, [], {"a": 1}]),
        (300, [300, 3e2], ["300", True, 301]),
        (1, [1], [True]),
        (None, [None], ["", False, []]),
        (True, [True], ["true", 1]),
        ({"prefix": "Ab"}, ["Abc", "Ab"], ["abc", 1]),
        ({"prefix": {"equals-ignore-case": "Ab"}}, ["aBc"], ["b"]),
        ({"suffix": ".png"}, ["a.png"], ["a.PNG", None]),
        ({"suffix": {"equals-ignore-case": ".png"}}, ["a.PNG"], ["png"]),
        ({"equals-ignore-case": "straße"}, ["STRASSE"], ["strase"]),
        ({"wildcard": "a*b*c"}, ["abc", "a-b-c", "abbcc"], ["ac", "abcd", "acb"]),
        ({"wildcard": "*.png"}, [".png", "a/b.png"], ["png"]),
        ({"wildcard": "a\\*\\\\*"}, ["a*\\", "a*\\x"], ["ab\\", "a*"]),
        ({"numeric": ["<", 10]}, [9.5, -1], [10, "9"]),
        ({"numeric": [">", 0, "<=", 5]}, [5, 0.1], [0, 5.1, True]),
        ({"numeric": ["=", 3.018e2]}, [301.8], [301]),
        ({"cidr": "10.0.0.0/24"}, ["10.0.0.255"], ["10.0.1.0", "x", 1, "::1"]),
        ({"cidr": "2001:db8::/32"}, ["2001:db8::1"], ["2001:db9::1"]),
        ({"anything-but": "a"}, ["b", 1, None, ["a", "b"]], ["a", ["a"], []]),
        ({"anything-but": ["a", 1]}, ["b", 2], ["a", 1.0]),
        ({"anything-but": {"prefix": "a"}}, ["b", 1], ["ab"]),
        ({"anything-but": {"suffix": ["a", "b"]}}, ["c"], ["ca", "cb"]),
        ({"anything-but": {"equals-ignore-case": ["a"]}}, ["b"], ["A"]),
        ({"anything-but": {"wildcard": "*/dir/*"}}, ["/x/"], ["/dir/x"]),
        ({"exists": True}, [None, 1, "", [1]], [[], {}, {"a": 1}]),
    ],
)
def test_an_operator(test: Any, values: list[Any], others: list[Any]) -> None:
    pattern = {"detail": {"x": [test]}}
    assert [fits(pattern, {"detail": {"x": each}}) for each in values] == [True] * len(values)
    assert [fits(pattern, {"detail": {"x": each}}) for each in others] == [False] * len(others)
    assert not fits(pattern, {"detail": {}}) and not fits(pattern, {})


def test_what_is_not_there() -> None:
    absent = {"detail": {"x": [{"exists": False}]}}
    assert fits(absent, {}) and fits(absent, {"detail": {"y": 1}}) and fits(absent, {"detail": {"x": {"below": 1}}})
    assert not fits(absent, {"detail": {"x": None}})
    assert fits({"detail": {"x": [{"exists": False}, "a"]}}, {"detail": {"x": "a"}})


def test_fields_below_an_array_fit_one_element() -> None:
    wanted = {"items": {"name": ["a"], "state": ["new"]}}
    assert fits(wanted, {"items": [{"name": "b", "state": "new"}, {"name": "a", "state": "new"}]})
    assert not fits(wanted, {"items": [{"name": "b", "state": "new"}, {"name": "a", "state": "old"}]})


def test_or_is_beside_and() -> None:
    wanted = {"source": ["s"], "$or": [{"detail": {"a": [1]}}, {"detail": {"b": [2]}}]}
    assert fits(wanted, {"source": "s", "detail": {"b": 2}})
    assert not fits(wanted, {"source": "s", "detail": {"b": 1}}) and not fits(wanted, {"detail": {"b": 2}})
    assert fits({"$or": [{"prefix": "a"}, {"suffix": "b"}]}, {"$or": "ab"})  # a field of that name


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ({}, "Empty objects"),
        ({"a": []}, "Empty arrays"),
        ({"a": 1}, '"a" must be an object or an array'),
        ({"a": [{"EXISTS": True}]}, "Unrecognized match type EXISTS"),
        ({"a": [{"prefix": 1}]}, "prefix match pattern must be a string"),
        ({"a": [{"wildcard": "a**"}]}, "Consecutive wildcard characters at pos 2"),
        ({"a": [{"wildcard": "a\\b"}]}, "Invalid escape character at pos 1"),
        ({"a": [{"numeric": [">", 0, ">", 1]}]}, "Bad numeric range operator: >"),
        ({"a": [{"numeric": [">", 0, "<"]}]}, "Value of < must be numeric"),
        ({"a": [{"numeric": [[], 0]}]}, "Unrecognized numeric range operator"),
        ({"a": [{"numeric": ["<", 6e9]}]}, "between"),
        ({"a": [{"cidr": "10.0.0.0"}]}, "Malformed CIDR, one '/' required"),
        ({"a": [{"cidr": "10.0.0.0/33"}]}, "mask bits"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix"),
        ({"a": [{"anything-but": [None]}]}, "Inside anything but list"),
        ({"a": [{"prefix": "a", "suffix": "b"}]}, "Only one key"),
        ({"a": [["b"]]}, "Arrays"),
        ({"$or": [{"a": [1]}]}, "at least 2"),
        ([], "Filter is not an object"),
    ],
)
def test_what_is_no_pattern(pattern: Any, why: str) -> None:
    with pytest.raises(PatternFault, match=re.escape(why)):
        parse_pattern(json.dumps(pattern))


def test_what_is_nested_too_deep_is_refused_and_not_followed() -> None:
    deep: Any = ["a"]
    for _ in range(100):
        deep = {"x": deep}
    with pytest.raises(PatternFault, match="nested"):
        parse_pattern(json.dumps(deep))
    event: Any = 1
    for _ in range(900):
        event = [event]
    assert not fits({"x": ["a"]}, {"x": event}) and fits({"x": [1, {"exists": False}]}, {"x": event})


MANY = [f"{each:x}" for each in range(500)]


@pytest.mark.parametrize(
    ("tests", "values", "tries"),
    [
        (MANY, ["x"] * 10_000, 10_003),
        ([{"anything-but": MANY}], ["1"] * 10_000, 20_003),
        ([{"anything-but": {"suffix": MANY}}], ["1"] * 64_000, None),
        ([{"prefix": each} for each in MANY[:200]], ["x"] * 64_000, None),
        ([{"equals-ignore-case": "a"}] * 130, ["x" * 256_000] * 2, None),
        ([{"cidr": "10.0.0.0/8"}] * 150, ["x"] * 2000, None),
    ],
)
def test_what_is_compared_has_a_budget(tests: list[Any], values: list[Any], tries: int | None) -> None:
    """Of literals there may be many: they are looked up at once."""
    pattern, body = parse_pattern(json.dumps({"detail": {"a": tests}})), {"detail": {"a": values}}
    if tries is None:
        with pytest.raises(BudgetFault, match="more than 100000 times"):
            pattern.matches(Event(body))
        return
    assert not pattern.matches(Event(body, Budget(tries)))
    with pytest.raises(BudgetFault):
        pattern.matches(Event(body, Budget(tries - 1)))


def test_objects_in_arrays_are_within_the_budget_too() -> None:
    pattern = parse_pattern(json.dumps({"$or": [{"a": {"b": {"c": [each]}}} for each in range(100)]}))
    with pytest.raises(BudgetFault):
        pattern.matches(Event({"a": [{"b": [{}] * 100}] * 100}))


def test_paths_are_known_as_deep_as_patterns_go() -> None:
    deep: Any = {str(each): 1 for each in range(10_000)}
    for _ in range(900):
        deep = {"x": deep}
    assert max(map(len, Event(deep).paths), default=0) <= 65
    assert fits({"x": {"y": [{"exists": False}]}}, deep)


NAMES, TEXTS = st.sampled_from("abc"), st.sampled_from(["", "a", "ab", "aab", "b*"])
SCALARS = TEXTS | st.integers(0, 2) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3), max_leaves=8
)
TESTS = (
    SCALARS
    | st.builds(lambda text: {"prefix": text}, TEXTS)
    | st.builds(lambda text: {"wildcard": text}, st.sampled_from(["*", "a*", "*b", "a*b", "b\\*", "*a*"]))
    | st.builds(lambda flag: {"exists": flag}, st.booleans())
    | st.builds(lambda wanted: {"anything-but": wanted}, st.lists(TEXTS | st.integers(0, 2), min_size=1, max_size=2))
)
PATTERNS = st.recursive(
    st.lists(TESTS, min_size=1, max_size=2), lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3)
)


def leaves(value: Any, path: tuple[str, ...] = (), at: tuple[int, ...] = ()) -> list[tuple[Any, Any, Any]]:
    """Every scalar with its path, and which elements of arrays of objects lead to it."""
    if isinstance(value, dict):
        return [each for name, below in value.items() for each in leaves(below, (*path, name), at)]
    if isinstance(value, list):
        return [each for number, below in enumerate(value) for each in leaves(below, path, (*at, number))]
    return [(path, at, value)]


def passes(test: Any, value: Any) -> bool:
    if not isinstance(test, dict):
        return type(test) is type(value) and test == value
    ((name, wanted),) = test.items()
    if name == "exists":
        return bool(wanted)
    if name == "anything-but":
        return not any(passes(each, value) for each in wanted)
    if not isinstance(value, str):
        return False
    if name == "prefix":
        return value.startswith(wanted)
    parts = [
        "\\*" if each == "\\*" else ".*" if each == "*" else re.escape(each) for each in re.findall(r"\\\*|.", wanted)
    ]
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def model(pattern: Any, event: Any, value: Any, path: tuple[str, ...]) -> bool:
    """Each object of an array is tried by itself, with the whole pattern below it."""
    found = leaves(event)
    for name, wanted in pattern.items():
        here, below = (*path, name), value.get(name, ()) if isinstance(value, dict) else ()
        if isinstance(wanted, list):
            absent = {"exists": False} in wanted and all(each[0] != here for each in found)
            mine = [each[2] for each in leaves(below) if not each[0]] if below != () else []
            if not absent and not any(passes(test, each) for test in wanted for each in mine):
                return False
        else:
            stack, objects = [below], []
            while stack:
                each = stack.pop()
                stack += each if isinstance(each, list) else []
                objects += [each] if isinstance(each, dict) else []
            if not any(model(wanted, event, each, here) for each in objects or [{}]):
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.dictionaries(NAMES, PATTERNS, min_size=1, max_size=3), event=st.dictionaries(NAMES, VALUES, max_size=3)
)
def test_a_pattern_is_as_a_slow_model_has_it(pattern: Any, event: Any) -> None:
    assert fits(pattern, event) == model(pattern, event, event, ())
