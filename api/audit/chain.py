"""A chain through the lines of the audit log: each carries a number and a code over itself and the line before.

The code is HMAC-SHA256 under a key outside the log's folder, so that who can write the log but not read the key can
neither change, drop, swap nor add a line unseen. Lines cut off the end show by the head, a small file beside the log,
and in every sink. Who reads the key (root of this machine) can write a new chain: only a sink elsewhere helps then.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

_CODE_CHARACTERS = 32
_MARK = b',"seq":'
BEGIN = "0" * _CODE_CHARACTERS


@dataclass(frozen=True, slots=True)
class Link:
    """The end of the chain: the newest line's number and code."""

    seq: int = 0
    code: str = BEGIN


class Chain:
    """`key` is 32 secret bytes."""

    def __init__(self, key: bytes) -> None:
        # Begun once: each code goes on from a copy, which spares looking the hash up in OpenSSL.
        self._begun = hmac.new(key, digestmod="sha256")

    def seal(self, text: bytes, before: Link) -> tuple[bytes, Link]:
        """`text`, a JSON object, with its two last fields; and the new end of the chain."""
        numbered = b'%b,"seq":%d' % (text[:-1], before.seq + 1)
        link = Link(before.seq + 1, self._code(numbered, before.code))
        return b'%b,"chain":"%b"}' % (numbered, link.code.encode()), link

    def fits(self, line: bytes, before: Link) -> bool:
        """Whether that sealed line follows `before`."""
        body, link = split(line)
        return (
            link is not None
            and link.seq == before.seq + 1
            and hmac.compare_digest(link.code, self._code(body, before.code))
        )

    def _code(self, numbered: bytes, before: str) -> str:
        code = self._begun.copy()
        code.update(before.encode() + b"\n" + numbered)
        return code.hexdigest()[:_CODE_CHARACTERS]


def split(line: bytes) -> tuple[bytes, Link | None]:
    """What the code is over, and the link; None for a line without one (written before there was a chain)."""
    body, mark, rest = line.rpartition(b',"chain":"')
    number = body.rpartition(_MARK)[2]
    if not mark or not rest.endswith(b'"}') or not number.isdigit() or len(number) > 18:
        return line, None
    return body, Link(int(number), rest[:-2].decode("latin-1"))


@dataclass
class Verified:
    """The result of a check of the whole log. `faults` empty: nothing was changed."""

    lines: int = 0
    unsealed: int = 0
    first: int = 0
    last: Link = field(default_factory=Link)
    faults: list[str] = field(default_factory=list)


def verify(chain: Chain, lines: Iterable[tuple[str, bytes]], head: Link) -> Verified:
    """Every line in order, each with the file it is from. `head`: how far the log had come."""
    found, before = Verified(), None
    for name, line in lines:
        _, link = split(line)
        if link is None:
            if before is not None:
                found.faults.append(f"{name}: a line after number {before.seq} has no seal")
            found.unsealed += 1
            continue
        if before is None:
            # What is older than the floor was deleted, and with it the line that this one's code is over.
            found.first = link.seq
            if link.seq == 1 and not chain.fits(line, Link()):
                found.faults.append(f"{name}: line 1 was changed")
        elif not chain.fits(line, before):
            found.faults.append(_fault(name, before, link))
        before = found.last = link
        found.lines += 1
    if found.last.seq < head.seq:
        found.faults.append(f"the log ends at number {found.last.seq}; it had come to {head.seq}")
    return found


def _fault(name: str, before: Link, link: Link) -> str:
    if link.seq == before.seq + 1:
        return f"{name}: line {link.seq}, or the one before it, was changed"
    return f"{name}: number {link.seq} follows {before.seq}: lines are missing or were moved"
