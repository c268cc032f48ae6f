"""JSON patch (RFC 6902): a list of operations, all of them or none."""

from __future__ import annotations

from typing import Any

from controller.resources.depth_limit import MOST_SENT_LEVELS, deeper_than
from crds.errors import BadRequest, Invalid, TooLarge
from crds.numbers import whole_number

MOST_OPERATIONS = 10_000  # as the apiserver
MOST_COPIED = 3 * 2**20  # as the apiserver: some thirty copies of copies would fill any memory


def json_patch(document: Any, operations: Any) -> Any:
    """`document` after all operations; the argument itself stays as it was.

    Raises BadRequest for operations that are none, Invalid when a place does not exist or a `test` fails,
    TooLarge for more than 10,000 operations or 3 MiB of copies.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch must be a list of operations")
    if len(operations) > MOST_OPERATIONS:
        raise TooLarge(f"a JSON patch may have {MOST_OPERATIONS} operations; this one has {len(operations)}")
    result, copied = copy_json(document), 0
    for operation in operations:
        copied += _copy_size(result, operation)
        if copied > MOST_COPIED:
            raise TooLarge(f"a JSON patch may copy {MOST_COPIED // 2**20} MiB")
        result = _applied(result, operation)
    return result


def _copy_size(document: Any, operation: Any) -> int:
    if not isinstance(operation, dict) or operation.get("op") != "copy":
        return 0
    source = _at(document, _pointer(_required(operation, "from")))
    if deeper_than(source, MOST_SENT_LEVELS):
        raise BadRequest(f"what a JSON patch copies may be nested {MOST_SENT_LEVELS} levels deep")
    return _size(source)


def _size(value: Any) -> int:
    """About as many characters as its JSON has."""
    if isinstance(value, dict):
        return 2 + sum(len(name) + _size(each) + 4 for name, each in value.items())
    if isinstance(value, list):
        return 2 + sum(_size(each) + 1 for each in value)
    return len(value) + 2 if isinstance(value, str) else 4


def _applied(document: Any, operation: Any) -> Any:
    name, path = _required(operation, "op"), _pointer(_required(operation, "path"))
    match name:
        case "add":
            return _add(document, path, copy_json(_value(operation)))
        case "remove":
            return _remove(document, path)[0]
        case "replace":
            _at(document, path)
            return _replace(document, path, copy_json(_value(operation)))
        case "move":
            return _move(document, _pointer(_required(operation, "from")), path)
        case "copy":
            return _add(document, path, copy_json(_at(document, _pointer(_required(operation, "from")))))
        case "test":
            if not same(_at(document, path), _value(operation)):
                raise Invalid(f"the server rejected our request: testing {operation['path']} failed")
            return document
    raise BadRequest(f"{name!r} is no JSON patch operation")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: `1` and `1.0` are, `1` and `true` are not."""
    # Python's own comparison is quick, and calls too much equal, never too little.
    if one is other or one != other:
        return one is other
    if isinstance(one, str):
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return all(map(same, one, other))
    return True


def _required(operation: Any, name: str) -> str:
    value = operation.get(name) if isinstance(operation, dict) else None
    if not isinstance(value, str):
        raise BadRequest(f"every JSON patch operation needs {name!r} as a string")
    return value


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise BadRequest(f"the JSON patch operation {operation['op']!r} needs a value")
    return operation["value"]


def _pointer(text: str) -> list[str]:
    """RFC 6901: `/a/b~1c` is `a`, then `b/c`."""
    if text and not text.startswith("/"):
        raise BadRequest(f"{text!r} is no JSON pointer: it must begin with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(part, len(document) - 1)]
        else:
            raise _missing(path)
    return document


def _parent(document: Any, path: list[str]) -> Any:
    parent = _at(document, path[:-1])
    if not isinstance(parent, dict | list):
        raise _missing(path)
    return parent


def _add(document: Any, path: list[str], value: Any) -> Any:
    return _placed(document, path, value, insert=True)


def _replace(document: Any, path: list[str], value: Any) -> Any:
    return _placed(document, path, value, insert=False)


def _placed(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _parent(document, path), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif insert:
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
    else:
        parent[_index(last, len(parent) - 1)] = value
    return document


def _remove(document: Any, path: list[str]) -> tuple[Any, Any]:
    """The document without that place, and what stood there."""
    value = _at(document, path)
    if not path:
        return None, value
    parent = _parent(document, path)
    if isinstance(parent, dict):
        del parent[path[-1]]
    else:
        del parent[_index(path[-1], len(parent) - 1)]
    return document, value


def _move(document: Any, source: list[str], target: list[str]) -> Any:
    if target[: len(source)] == source and target != source:
        raise Invalid("the server rejected our request: a value cannot be moved into itself")
    document, value = _remove(document, source)
    return _add(document, target, value)


def _index(text: str, last: int) -> int:
    index = whole_number(text)
    if index is None or (len(text) > 1 and text[0] == "0") or index > last:
        raise Invalid(f"the server rejected our request: there is no list item {text[:100]!r}")
    return index


def _missing(path: list[str]) -> Invalid:
    return Invalid(f"the server rejected our request: there is nothing at /{'/'.join(path)}")


def copy_json(value: Any) -> Any:
    """Objects and lists anew, all the way down; what is in them is immutable and shared."""
    if isinstance(value, dict):
        return {name: copy_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [copy_json(each) for each in value]
    return value
