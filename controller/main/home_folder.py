"""Ownership of the home of a cloud. What belongs to somebody else, or is no cloud's folder, is left as it is; the
error says whose it is and what to do.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from controller.main.errors import Misuse

FOLDERS = ("secrets", "credentials", "store", "tls", "data", "run", "logs")
_BESIDES = frozenset({*FOLDERS, "lost+found"})  # an empty disk has the latter
_ANOTHER = "give a folder of your own: AEREKOS_HOME=... aerekos up"


def refusal(home: Path, path: Path, error: OSError) -> Misuse:
    """The refusal: why `path`, which is in `home`, cannot be used by whoever runs this."""
    foreign = _first_foreign(path)
    if foreign is None or not isinstance(error, PermissionError):
        hint = f"chmod -R u+rwX {home}" if isinstance(error, PermissionError) else _ANOTHER
        return Misuse(f"{path} cannot be used: {error.strerror}", hint=hint)
    me = _name(os.geteuid())
    message = f"{foreign} belongs to {_owner(foreign)}, and you are {me}"
    if made_by_root := _made_by_root(foreign, home):
        return Misuse(message, hint=f"sudo chown -R {me} {made_by_root}   (one start with sudo leaves it so)")
    return Misuse(message, hint=_ANOTHER)


def require_own(home: Path) -> None:
    """Raises Misuse for a folder that a start would spoil: another user's, when root asks, whose own commands would
    be locked out of their cloud; and one that holds something else, whose rights would be taken from others. A volume
    of a container belongs to a number without an account there: nobody is locked out.
    """
    try:
        names = {each.name for each in home.iterdir()}
    except FileNotFoundError:
        if os.geteuid() == 0:  # `sudo aerekos up` in somebody's own folder: the next start without it would fail
            _require_own_folder(next(each for each in home.parents if each.exists()), home)
        return
    except OSError as error:
        raise refusal(home, home, error) from error
    _require_own_folder(home, home)
    if not (names <= _BESIDES or "settings.toml" in names or {"secrets", "store"} <= names):
        there = ", ".join(sorted(names - _BESIDES)[:3])
        message = f"{home} is no home of a cloud, and not empty: it holds {there}"
        raise Misuse(message, hint=f"give a folder for it alone: AEREKOS_HOME={home / 'aerekos'} aerekos up")


def _require_own_folder(folder: Path, home: Path) -> None:
    if not _is_ours(folder) and (owner := _account(folder.stat().st_uid)):
        me = _name(os.geteuid())
        message = f"{folder} belongs to {owner}; what {me} starts there, {owner} could not use any more"
        raise Misuse(message, hint=f"as {owner}: sudo -u {owner} aerekos up --home {home}   or {_ANOTHER}")


def _first_foreign(path: Path) -> Path | None:
    """On the way from the root of all folders to `path`, the first that is somebody else's and in our way."""
    last = Path("/")
    for each in (*reversed(path.parents), path):
        try:
            if not _is_ours(each) and not _may(each, os.R_OK | os.X_OK if each.is_dir() else os.R_OK):
                return each
        except FileNotFoundError:  # it was to be made
            return None if _is_ours(last) or _may(last, os.W_OK) else last
        except OSError:
            return None
        last = each
    return None


def _made_by_root(foreign: Path, home: Path) -> Path | None:
    """What root made in a folder of ours, on the way to `foreign`; of a home, all. None for what lies elsewhere."""
    way = [*reversed(foreign.parents), foreign]
    ours = next((at for at, each in enumerate(way) if _is_ours(each)), len(way))
    theirs = next((each for each in way[ours:] if not _is_ours(each)), None)
    if theirs is None or theirs.stat().st_uid != 0:
        return None
    return home if theirs.is_relative_to(home) else theirs


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=True)


def _is_ours(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _owner(path: Path) -> str:
    return _name(path.stat().st_uid)


def _name(uid: int) -> str:
    return _account(uid) or f"user {uid}"


def _account(uid: int) -> str:
    """The user's name; empty for a number that has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
