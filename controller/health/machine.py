"""Findings on one machine: how full its disk and memory are, and certificates in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from controller.health.finding import Code, Finding
from crds.meta import ObjectKey

WARN_SHARE, CRITICAL_SHARE, MEMORY_SHARE = 0.85, 0.95, 0.95
EXPIRING = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes. `total` 0: unknown."""

    used: float
    total: float

    @property
    def share(self) -> float:
        return self.used / self.total if self.total > 0 else 0.0

    @property
    def free(self) -> float:
        return max(self.total - self.used, 0.0)


def room_on(folder: Path) -> Room:
    """Room on a disk as df reckons it: what only root may use does not count. Raises OSError."""
    seen = os.statvfs(folder)
    used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
    return Room(used, used + seen.f_bavail * seen.f_frsize)


def disk_finding(
    whose: str, room: Room, about: ObjectKey | None = None, kind: str = "Conductor"
) -> Iterator[Finding]:
    """A finding for a disk that is 85 % full or more, critical from 95 %."""
    if room.share < WARN_SHARE:
        return
    text = f"the disk of {whose} is {room.share:.0%} full: {human(room.free)} free"
    fix = "make room there, or move what takes most to another disk"
    if room.share >= CRITICAL_SHARE:
        yield Finding("critical", Code.DISK_FULL, text, fix, about, kind)
    else:
        yield Finding("warning", Code.DISK_NEARLY_FULL, text, fix, about, kind)


def store_finding(trouble: Exception | None, *, takes_new: bool) -> Iterator[Finding]:
    """A finding where nothing can be written, or nothing new."""
    if trouble is not None:
        fix = "reads go on; aerekos doctor tells how much room there is. It goes on by itself: docs/operations"
        yield Finding("critical", Code.STORE_READ_ONLY, f"the store is read-only: {trouble}", fix)
    elif not takes_new:
        text = "the disk of the store was full: only changes and deletions are taken"
        fix = "delete what is not needed, or make room there; from 160 MiB on it goes on by itself"
        yield Finding("critical", Code.STORE_READ_ONLY, text, fix)


def memory_finding(
    whose: str, room: Room, about: ObjectKey | None = None, kind: str = "Conductor"
) -> Iterator[Finding]:
    """A finding where 95 % or more is in use: what wants more may be killed."""
    if room.share >= MEMORY_SHARE:
        text = f"the memory of {whose} is {room.share:.0%} full: {human(room.free)} left"
        fix = "stop or move what takes most, or give services limits"
        yield Finding("warning", Code.MEMORY_NEARLY_FULL, text, fix, about, kind)


def certificate_findings(
    folder: Path, now: datetime, names: Sequence[str] = ("ca", "server", "admin")
) -> Iterator[Finding]:
    """Findings about the cloud's own CA and the certificates beside it; those that are not there yet are made at the
    start.
    """
    for name in names:
        file = folder / f"{name}.crt"
        if file.exists():
            yield from _of_certificate(file, now)


def _of_certificate(file: Path, now: datetime) -> Iterator[Finding]:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        fix = f"put a backup of {file} in its place"
        yield Finding("critical", Code.CERTIFICATE_UNUSABLE, f"{file} cannot be used: {error}", fix)
        return
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        yield not_yet_valid(file, begin, now)
    elif now > end:
        yield Finding("critical", Code.CERTIFICATE_EXPIRED, f"{file} expired on {end:%Y-%m-%d}", _renewal(file))
    elif end - now < EXPIRING:
        yield Finding("warning", Code.CERTIFICATE_EXPIRING, f"{file} expires on {end:%Y-%m-%d}", _renewal(file))


def not_yet_valid(file: Path, begin: datetime, now: datetime) -> Finding:
    """One of the two clocks was wrong: the one at the founding, or this one."""
    text = (
        f"{file} is valid only from {begin:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M} UTC: "
        "this machine's clock is wrong, or it was ahead when the certificate was made"
    )
    fix = f"set the clock; if it is right now: {_renewal(file)}"
    return Finding("critical", Code.CERTIFICATE_NOT_YET_VALID, text, fix)


def _renewal(file: Path) -> str:
    if file.stem == "ca":
        return "aerekos down; aerekos ca renew; aerekos up; other machines must trust the new certificate"
    return "aerekos down; aerekos up"


def human(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(number) < 1024:
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.3g} PiB"
