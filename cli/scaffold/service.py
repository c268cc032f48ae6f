"""Writes the folder of a new managed service: a kind, a reconciler, a route, a metric and tests that pass."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

import services
from controller.main.errors import Misuse, UserError
from services.sdk.discovery import VARIABLE, catalog_of, managed_services

TEMPLATE = Path(__file__).parent / "template"
# Not called `tests` in the template: no wheel holds a folder of that name.
PLACES = {"test_service.py": "tests/test_service.py"}
EMPTY = ("__init__.py", "tests/__init__.py")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Names:
    """What the new service and its kind are called, wherever that is written."""

    folder: str
    kind: str

    @property
    def service(self) -> str:
        return self.folder.replace("_", "-")

    @property
    def plural(self) -> str:
        return _plural(self.kind.lower())

    def values(self) -> dict[str, str]:
        """For the template."""
        return {
            "folder": self.folder,
            "service": self.service,
            "title": self.folder.removesuffix("_manager").replace("_", " ").capitalize(),
            "Kind": self.kind,
            "KIND": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.kind).upper(),
            "singular": self.kind.lower(),
            "plural": self.plural,
        }


def names_of(name: str, kind: str | None) -> Names:
    """The names behind `notes` or `notes_manager`. Raises Misuse for what is no name, or taken."""
    stem = name.removesuffix("_manager")
    if not _NAME.fullmatch(stem) or "__" in stem or stem.endswith("_") or len(stem) > _LONGEST:
        hint = f"lower-case letters, digits and underscores, beginning with a letter, {_LONGEST} at most: e.g. notes"
        raise Misuse(f"{name!r} cannot be the name of a managed service", hint=hint)
    chosen = kind or "".join(each.capitalize() for each in _singular(stem).split("_"))
    if not _KIND.fullmatch(chosen) or len(chosen) > _LONGEST:
        raise Misuse(
            f"{chosen!r} cannot be the name of a kind", hint="letters and digits, a capital first: e.g. Note"
        )
    found = Names(f"{stem}_manager", chosen)
    _require_free(found)
    return found


def write_service(names: Names, parent: Path | None) -> Path:
    """The new folder below `parent`; None stands for `services/` of this checkout.

    Raises UserError, and leaves whatever is there as it is.
    """
    folder = (parent.expanduser().absolute() if parent is not None else _own_folder()) / names.folder
    if folder.exists():
        raise UserError(f"{folder} is there already", hint="remove it, or take another name")
    try:
        for name, text in contents(names).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}", hint="take another folder: --in FOLDER") from error
    return folder


def contents(names: Names) -> dict[str, str]:
    """Each file's text, by its path in the folder."""
    files = {each.name.removesuffix(".txt"): each.read_text(encoding="utf-8") for each in TEMPLATE.glob("*.txt")}
    values = names.values()
    written = {PLACES.get(name, name): Template(text).substitute(values) for name, text in files.items()}
    return {**written, **dict.fromkeys(EMPTY, "")}


def next_steps(names: Names, folder: Path) -> str:
    """What to do with it, line by line."""
    elsewhere = str(folder.parent) not in services.__path__[:1]
    told = f"{VARIABLE}={folder.parent} " if elsewhere else ""
    return (
        f"{folder}\n\n"
        f"test it:   {told}python -m pytest {_shortest(folder)}\n"
        f"run it:    aerekos down; {told}aerekos up\n"
        f"then:      docs/writing-a-service.md"
    )


def _require_free(names: Names) -> None:
    known = managed_services()
    if any(each.name == names.folder for each in known):
        raise Misuse(f"there is a managed service {names.folder} already", hint="take another name")
    for each in catalog_of(known):
        if each.plural == names.plural or each.name == names.kind:
            hint = f"choose a kind of your own: --kind {names.kind}Record"
            raise Misuse(f"there is a kind {each.name} ({each.plural}) already", hint=hint)


def _own_folder() -> Path:
    """`services/` of a checkout. Raises Misuse in an installation, whose folders the next version replaces."""
    own = Path(str(services.__file__)).parent
    if not (own.parent / "pyproject.toml").is_file():
        raise Misuse("say in which folder it shall be", hint="e.g. --in ~/services")
    return own


def _shortest(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else os.fspath(folder)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "sh", "ch", "x")) else f"{word}s"
