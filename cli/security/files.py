"""Security checks of what lies on the disk: modes, owners, keys, certificates, a one-time password nobody used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.security.finding import Finding
from controller.kit import generations
from controller.main.settings import Settings
from controller.store.sealing import newest_made

_PRIVATE = ("secrets", "credentials", "store", "tls", "run", "logs", "data", "agent")
# What other programs of this machine must be able to read to trust the cloud.
_PUBLIC = frozenset({"ca.crt", "server.crt"})
_KEYS = ("root-key", "master-key", "audit-key")  # of store-key, the store itself says what is wrong
_BY_HAND = {"master-key": "master", "root-key": "root", "store-key": "store"}
_MOST_FILES = 20_000
_KEY_DAYS, _BY_HAND_DAYS, _CERTIFICATE_DAYS = 90, 365, 398


def check_files(settings: Settings, now: datetime | None = None) -> Iterator[Finding]:
    """Every check of files. Nothing is changed."""
    home, now = settings.home, now or datetime.now(UTC)
    if not home.exists():
        yield Finding("skipped", "file-modes", f"{home} is not on this machine")
        return
    yield from _modes(home)
    yield from _owner(home)
    yield from _keys(home)
    yield from _signing_keys(home, now)
    yield from _ages(home, now)
    yield from _certificates(settings, now)
    yield from _first_login(settings)
    yield from _settings_file(settings)


def _modes(home: Path) -> Iterator[Finding]:
    open_ = [*_too_open(home)]
    if not open_:
        yield Finding("ok", "file-modes", f"nobody else can read {home}")
        return
    shown = ", ".join(f"{path} ({stat.S_IMODE(mode):04o})" for path, mode in open_[:5])
    yield Finding(
        "high",
        "file-modes",
        f"{len(open_)} files or folders can be read or entered by other users: {shown}",
        "whoever reads the store, a key or a credential can become anybody in this cloud",
        f"aerekos down; aerekos up   (each start closes them), or chmod -R go= {home}",
    )


def _too_open(home: Path) -> Iterator[tuple[Path, int]]:
    """What others may read or enter although the folder above it lets them."""
    seen = 0
    pending = [home / name for name in _PRIVATE]
    while pending and seen < _MOST_FILES:
        path = pending.pop()
        seen += 1
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode) or stat.S_ISSOCK(mode):
            continue
        closed = not mode & 0o077
        if stat.S_ISDIR(mode):
            if closed:
                continue  # nobody else gets further
            pending += path.iterdir()
            if mode & 0o022:
                yield path, mode
        elif mode & (0o022 if path.name in _PUBLIC else 0o077):
            yield path, mode


def _owner(home: Path) -> Iterator[Finding]:
    foreign = [path for name in ("", "secrets", "store", "tls") if (path := home / name).exists() and _foreign(path)]
    if foreign:
        yield Finding(
            "high",
            "file-owners",
            f"{foreign[0]} belongs to user {foreign[0].stat().st_uid}",
            "its owner can replace what is in it",
            f"chown -R {os.getuid()} {home}, if that is who runs the cloud",
        )
    else:
        yield Finding("ok", "file-owners", "the home belongs to who runs the cloud")


def _foreign(path: Path) -> bool:
    return path.stat().st_uid not in (os.getuid(), 0)


def _keys(home: Path) -> Iterator[Finding]:
    files = [home / "secrets" / name for name in _KEYS]
    wrong = [file for file in files if file.is_file() and (file.is_symlink() or not _whole(file))]
    if wrong:
        yield Finding(
            "high",
            "key-files",
            f"{wrong[0]} is no whole key",
            "a short key can be guessed; a link can be turned elsewhere",
            "put the backup of it in its place",
        )
    else:
        yield Finding("ok", "key-files", "the keys have their full length")


def _whole(file: Path) -> bool:
    try:
        held = generations.read(file, closed=file.name == "root-key")
    except OSError:
        return False
    return file.name != "audit-key" or held[0].made is None


def _ages(home: Path, now: datetime) -> Iterator[Finding]:
    """Of the keys that rotate when somebody asks for it."""
    for name, what in _BY_HAND.items():
        file = home / "secrets" / name
        made = _made(file)
        if made is None:
            continue
        days = (now - made).days
        if days > _BY_HAND_DAYS:
            yield Finding(
                "low",
                "key-age",
                f"{name} is {days} days old",
                "who copied it once, unseen, opens what it seals or derives for as long as it is in use",
                f"aerekos keys rotate --what {what}",
            )
        else:
            yield Finding("ok", "key-age", f"{name} is {days} days old")


def _made(file: Path) -> datetime | None:
    """Of the newest key in it; where the file does not say, its own time. None: `key-files` tells of it."""
    try:
        is_root = file.name == "root-key"
        made = newest_made(file) if file.name == "store-key" else generations.read(file, closed=is_root)[0].made
        return made or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return None


def _signing_keys(home: Path, now: datetime) -> Iterator[Finding]:
    files = list((home / "secrets" / "jwt").glob("*.pem"))
    if not files:
        return
    newest = max(datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in files)
    age = now - newest
    if age > timedelta(days=_KEY_DAYS):
        yield Finding(
            "low",
            "signing-key-age",
            f"the newest token key is {age.days} days old",
            "a key that was copied unseen signs tokens for as long as it lives",
            "aerekos keys rotate",
        )
    else:
        yield Finding("ok", "signing-key-age", f"the newest token key is {age.days} days old")


def _certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    from cryptography import x509

    for name in ("ca", "server", "admin"):
        file = settings.tls / f"{name}.crt"
        if not file.exists():
            continue
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        left = certificate.not_valid_after_utc - now
        whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        if left < timedelta(days=30):
            yield Finding(
                "high" if left < timedelta() else "medium",
                "certificates",
                f"{name}.crt ends {certificate.not_valid_after_utc:%Y-%m-%d}",
                "clients refuse an expired certificate, and people learn to ignore warnings",
                "aerekos down; aerekos up   (a start renews it)",
            )
        elif name == "admin" and whole > timedelta(days=_CERTIFICATE_DAYS):
            yield Finding(
                "low",
                "certificates",
                f"{name}.crt is good for {whole.days} days",
                "who copies it is the admin for that long; certificates cannot be taken back one by one",
                "keep AEREKOS_HOME on an encrypted disk; rotate the CA when a copy may be about (docs/hardening.md)",
            )
        else:
            yield Finding(
                "ok", "certificates", f"{name}.crt is valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
            )


def _first_login(settings: Settings) -> Iterator[Finding]:
    file = settings.run / "first-login.json"
    if file.exists():
        yield Finding(
            "medium",
            "one-time-password",
            f"nobody has read the one-time password in {file}",
            "it is a password in a file, good until somebody logs in with it or it expires",
            "aerekos first-login, log in, and choose your own password",
        )
    else:
        yield Finding("ok", "one-time-password", "no unread one-time password lies about")


def _settings_file(settings: Settings) -> Iterator[Finding]:
    file = settings.home / "settings.toml"
    if file.exists() and "password" in file.read_text(errors="replace") and file.stat().st_mode & 0o077:
        yield Finding(
            "high",
            "settings-file",
            f"{file} holds a password and can be read by others",
            "passwords in it seed users",
            f"chmod 600 {file}, and take the password out after the first start",
        )
