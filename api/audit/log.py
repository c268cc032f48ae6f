"""The audit log: one JSON line for each request that the policy wants noted, in `logs/audit.log` and in the sinks.

By default writes, reads of Secrets and of AWS keys, logins, commands run in instances, AWS calls, and everything that
was refused. Bodies are in it only where a policy says so, secrets never. A line is handed to the kernel before a
short answer leaves, and right after a long one (`gather`); lines are not synced to disk one by one. The newest stay
in memory, to be shown.

While the log cannot be written, changes are refused (or go on, if the settings say so); reads go on either way.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio

from api.asgi import Scope
from api.audit.aggregation import Aggregator
from api.audit.attributes import Attributes, attributes_of, aws_attributes
from api.audit.chain import Chain
from api.audit.denials import Denials, denial_of
from api.audit.fields import LIMITS, bounded, bounded_annotations, bounded_groups, decoded, fitted, without_secrets
from api.audit.journal import Journal, end_of
from api.audit.notes import Notes, notes_of
from api.audit.options import AuditOptions
from api.audit.policy import Level, Policy
from api.audit.sinks import Follower, Progress
from api.auth.principal import Principal
from controller.kit.clock import Clock
from crds.errors import Unavailable
from crds.model import rfc3339

KEPT_LINES, KEPT_BYTES = 1000, 2**20
TICK_SECONDS = 1.0
COMPLETE, STARTED = "ResponseComplete", "ResponseStarted"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Go on while the log fails: questions, what keeps the cloud itself alive, and logging in to repair it.
_GOES_ON = (
    "/apis/authorization.k8s.io/",
    "/apis/authentication.k8s.io/",
    "/apis/authorization.aerekos.cloud/",
    "/agents/",
    "/auth/",
)
_AWS_READS = ("Decrypt", "Describe", "Get", "List", "Verify", "Head")


class Audit:
    """Notes requests. `key`: what the chain of lines is sealed with; without one, nobody can verify it later."""

    def __init__(
        self,
        file: Path,
        clock: Clock,
        *,
        key: bytes = b"",
        options: AuditOptions | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.options = options or AuditOptions()
        self._clock, self._policy = clock, policy or self.options.read_policy()
        self.journal = Journal(
            file,
            clock,
            Chain(key or secrets.token_bytes(32)),
            floor=self.options.floor,
            most_bytes=self.options.most_bytes,
        )
        self._data = Aggregator(clock, per_second=self.options.data_lines)
        self._denied = Aggregator(clock, per_second=self.options.denied_lines)
        self._followers: list[Follower] = []
        self.denials = Denials()
        self._newest: deque[bytes] = deque()
        self._newest_bytes = self._count = 0
        for line in end_of(file).lines[-KEPT_LINES:]:
            self._remember(line)

    @property
    def keeps_bodies(self) -> bool:
        """Whether any rule of the policy asks for bodies."""
        return self._policy.keeps_bodies

    def follow(self, followers: Iterable[Follower]) -> None:
        """Send what is noted to these sinks as well."""
        for each in followers:
            self._followers.append(each)
            each.start()

    def gather(self, soon: Callable[[Callable[[], object]], object]) -> None:
        """From now on, the lines of one turn of the loop are written together: by `flush`, before the answers leave,
        or by `soon` at the end of the turn.
        """
        self.journal.gather(soon)

    def flush(self) -> None:
        """Write the lines that wait."""
        self.journal.flush()

    def check(self, scope: Scope) -> None:
        """Raises Unavailable for a change that could not be noted."""
        if not self.journal.failure or self.options.failure == "continue" or scope["method"] in _READS:
            return
        if scope["path"].startswith(_GOES_ON) or _is_aws_read(scope):
            return
        raise Unavailable(
            f"the audit log cannot be written ({self.journal.failure}); until it can, nothing is changed",
            retry_after=5,
        )

    def note(self, scope: Scope, who: Principal | None, code: int, request_id: str, stage: str = COMPLETE) -> None:
        """Write the line, if the policy wants it, or the request was refused."""
        notes, denied = notes_of(scope), code in (401, 403)
        denied = denied or notes.decision == "forbid"
        user, groups = (who.name, who.groups) if who else (notes.caller, frozenset[str]())
        what = _attributes(scope, notes, who)
        verdict = self._policy.judge(user, groups, what)
        level = Level.METADATA if denied and verdict.level is Level.NONE else verdict.level
        now = rfc3339(self._clock.now())
        if denied and stage == COMPLETE:
            self.denials.record(denial_of(now, request_id, user, code, what, notes))
        if level is Level.NONE or stage in verdict.omitted:
            return
        line = {
            "time": now,
            "level": level.title,
            "stage": stage,
            "user": bounded(user, LIMITS["user"]),
            "groups": bounded_groups(groups),
            "by": bounded(who.acting, LIMITS["by"]) if who else "",
            "method": bounded(scope["method"], LIMITS["method"]),
            "path": bounded(scope["path"], LIMITS["path"]),
            "query": without_secrets(scope["query_string"]),
            "code": code,
            "decision": "forbid" if denied else "allow",
            "from": bounded((scope.get("client") or ("",))[0], LIMITS["from"]),
            "userAgent": _header(scope, b"user-agent"),
            "requestId": bounded(request_id, LIMITS["requestId"]),
            **_more(what, notes, who.session if who else ""),
            **notes.bodies(level),
        }
        self._place(line, denied=denied, data=bool(notes.aws or notes.action))

    def since(self, seen: int) -> tuple[int, list[bytes]]:
        """How many lines there were, and those after the first `seen` of them that are still in memory."""
        fresh = max(0, min(self._count - seen, len(self._newest)))
        return self._count, list(islice(self._newest, len(self._newest) - fresh, None))

    @property
    def sinks(self) -> list[Progress]:
        return [each.progress for each in self._followers]

    def problems(self) -> list[str]:
        """Problems of the log now, in words."""
        told = [f"the audit log cannot be written: {self.journal.failure}"] if self.journal.failure else []
        told += [self.journal.alarm] if self.journal.alarm else []
        told += [f"{self.journal.lost} lines were lost"] if self.journal.lost else []
        return told + [f"the sink {each.name} takes nothing: {each.fault}" for each in self.sinks if each.fault]

    def tick(self) -> None:
        """Do what must happen without a request: bursts told, files turned over, the disk asked again."""
        for each in (self._data, self._denied):
            for line in each.due():
                self._write(line)
        self.journal.look_after()

    async def run(self) -> None:
        """Do regularly what happens without a request, until cancelled."""
        while True:
            await anyio.sleep(TICK_SECONDS)
            self.tick()

    def close(self) -> None:
        for each in (self._data, self._denied):
            for line in each.due(everything=True):
                self._write(line)
        self.journal.close()
        for follower in self._followers:
            follower.stop()

    def _place(self, line: dict[str, Any], *, denied: bool, data: bool) -> None:
        """Denials and AWS calls come in floods; changes are few, and each is written."""
        aggregator = self._denied if denied else self._data if data else None
        now = aggregator.take(line) if aggregator else line
        if now is not None:
            self._write(now)

    def _write(self, line: dict[str, Any]) -> None:
        self._remember(self.journal.append(fitted(line)))

    def _remember(self, text: bytes) -> None:
        self._newest.append(text)
        self._newest_bytes += len(text)
        self._count += 1
        while len(self._newest) > KEPT_LINES or self._newest_bytes > KEPT_BYTES:
            self._newest_bytes -= len(self._newest.popleft())


def _attributes(scope: Scope, notes: Notes, who: Principal | None) -> Attributes:
    if notes.aws or notes.action:
        name = notes.aws or notes.action.partition(":")[0]
        return aws_attributes(scope["path"], name, notes.action, who.namespace if who else "")
    return attributes_of(scope["method"], scope["path"], scope["query_string"])


def _more(what: Attributes, notes: Notes, sid: str) -> dict[str, Any]:
    """The fields that not every line has."""
    texts = (
        ("verb", what.verb),
        ("action", notes.action),
        ("resource", notes.resource),
        ("accessKey", notes.access_key),
        ("login", notes.login),
        ("sid", sid),
        ("reason", notes.reason),
    )
    told: dict[str, Any] = {name: bounded(text, LIMITS[name]) for name, text in texts if text}
    if notes.annotations:
        told["annotations"] = bounded_annotations(notes.annotations)
    if (reference := what.reference) is not None:
        told["objectRef"] = reference
    return told


def _is_aws_read(scope: Scope) -> bool:
    target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")[:256]
    return target.rpartition(b".")[2].decode("latin-1").startswith(_AWS_READS)


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return decoded(value, LIMITS["userAgent"])
    return ""
