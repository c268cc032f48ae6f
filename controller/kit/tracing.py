"""Spans of what this process does, for a collector that speaks OTLP; nothing until `start` is called.

The OpenTelemetry SDK is imported by `start` alone (`otlp.py`): who sets no endpoint pays a comparison for each span,
and no memory. The current span goes along by context variables, so what a request does in its own task belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from controller.kit.otlp import Tracing

Kind = Literal["internal", "server", "client"]
Report = Callable[[bool, str], None]
"""Told when the collector stops taking spans (False, why) and when it takes them again (True, how many were lost)."""
Headers = list[tuple[bytes, bytes]]
TRACEPARENT = b"traceparent"


class Span(Protocol):
    """A span while it is entered: the current one, until it is left."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It ends; an Exception marks it as failed."""
        ...

    def name(self, name: str) -> None:
        """Call it by what is known now."""
        ...

    def note(self, key: str, value: str | int | float | bool) -> None:
        """Give it an attribute."""
        ...

    def fail(self, why: str) -> None:
        """Mark it as failed."""
        ...


class _NoSpan:
    """What is entered where nobody collects spans."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def name(self, name: str) -> None:
        return None

    def note(self, key: str, value: str | int | float | bool) -> None:
        return None

    def fail(self, why: str) -> None:
        return None


NO_SPAN: Span = _NoSpan()
_tracing: Tracing | None = None


def start(endpoint: str, service: str, *, instance: str = "", report: Report = lambda taken, why: None) -> None:
    """Send spans to `endpoint` (`http://127.0.0.1:4318`) from now on, as those of `service`."""
    global _tracing
    from controller.kit.otlp import Tracing

    _tracing = Tracing(endpoint, service, instance, report)


def stop(seconds: float) -> None:
    """Send what waits, for so long at most, and make no spans any more. Blocks."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing is not None:
        tracing.close(seconds)


def tracing() -> Tracing | None:
    """What sends spans; None while nobody collects them."""
    return _tracing


def span(name: str, kind: Kind = "internal", *, parent: bytes | None = None, links: Sequence[Any] = ()) -> Span:
    """A span below the current one; with `parent`, a `traceparent` header, below that. `links`: from `current`."""
    if _tracing is None:
        return NO_SPAN
    return _tracing.span(name, kind, parent, links)


def child(name: str, kind: Kind = "internal") -> Span:
    """A span below the current one; none where nothing is traced: a piece without its whole tells little."""
    if _tracing is None or _tracing.current() is None:
        return NO_SPAN
    return _tracing.span(name, kind, None, ())


def current() -> Any:
    """The current span, for `links` and `within`; None where nothing is traced."""
    return None if _tracing is None else _tracing.current()


def within(context: Any, name: str, links: Sequence[Any]) -> Span:
    """A span below one that `current` has told of, perhaps of another task."""
    if _tracing is None or context is None:
        return NO_SPAN
    return _tracing.span(name, "internal", None, links, below=context)


def traceparent() -> bytes | None:
    """The header that makes the next process's spans children of the current one; None where nothing is traced."""
    return None if _tracing is None else _tracing.traceparent()


def with_traceparent(headers: Headers) -> Headers:
    """`headers` for the next process, their `traceparent` that of the current span."""
    if _tracing is None or (value := _tracing.traceparent()) is None:
        return headers
    return [*(each for each in headers if each[0] != TRACEPARENT), (TRACEPARENT, value)]
