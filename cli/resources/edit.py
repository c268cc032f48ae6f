"""`aerekos edit`: a resource as YAML in the user's own editor, written back when it was changed.

What the cloud refuses opens again with the reason on top, so that no work is lost.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import as_yaml, complain
from cli.resources.kinds import Served
from cli.resources.manifests import faults_of, parse
from controller.main.errors import Misuse, UserError

_STRICT = {"fieldValidation": "Strict"}
_HEAD = "# Lines that begin with '#' are ignored. Save to apply; leave without a change to give up.\n"
_EDITORS = ("nano", "vi", "vim", "emacs")
_MENDABLE = (400, 403, 409, 422)


def edit(api: ApiClient, kind: Served, namespace: str, name: str) -> str:
    """Edit one resource and say what became of it. Raises Misuse without an editor, Refused, UserError when what was
    written is given up.
    """
    editor = find_editor()
    live: dict[str, Any] = api.get(kind.path(namespace, name))
    text, objection = as_yaml(_shown(live)), ""
    with tempfile.TemporaryDirectory(prefix="aerekos-edit-") as folder:
        file = Path(folder) / f"{kind.singular}-{name}.yaml"
        while True:
            edited = _in_editor(editor, file, _HEAD + objection + text + "\n")
            if edited.strip() == text.strip():
                return _given_up(kind, name, text, objection)
            text = edited
            try:
                _write(api, kind.path(namespace, name), edited, live)
            except (Refused, Misuse) as error:
                if isinstance(error, Refused) and error.status not in _MENDABLE:
                    raise
                objection = "".join(f"# {line}\n" for line in f"REFUSED: {error.message}".splitlines())
                complain(error.message)
            else:
                return f"{kind.title(name)} edited"


def find_editor() -> list[str]:
    """$VISUAL, $EDITOR, or one that is there. Raises Misuse."""
    given = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if given:
        return shlex.split(given)
    found = next((each for each in _EDITORS if shutil.which(each)), None)
    if found is None:
        raise Misuse("there is no editor", hint="EDITOR=nano aerekos edit ...")
    return [found]


def _shown(live: dict[str, Any]) -> dict[str, Any]:
    """Without what is not for people to write."""
    meta = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": meta}


def _in_editor(editor: list[str], file: Path, content: str) -> str:
    """The text without its comments at the top, as the user left it."""
    file.write_text(content, encoding="utf-8")
    try:
        code = subprocess.run([*editor, str(file)], check=False).returncode
    except OSError as error:
        raise Misuse(f"{editor[0]} cannot be started: {error.strerror}", hint="set EDITOR to a program") from error
    if code != 0:
        raise UserError(f"{editor[0]} ended with {code}; nothing was changed", hint="save, and leave it with 0")
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def _given_up(kind: Served, name: str, text: str, objection: str) -> str:
    if not objection:
        return f"{kind.title(name)} unchanged"
    with tempfile.NamedTemporaryFile("w", prefix="aerekos-", suffix=".yaml", delete=False, encoding="utf-8") as kept:
        kept.write(text)
    raise UserError("what was refused was left as it is", hint=f"mend it and: aerekos apply -f {kept.name}")


def _write(api: ApiClient, path: str, text: str, live: dict[str, Any]) -> None:
    """Puts it in the place of the version that was opened. Raises Refused, Misuse."""
    documents = list(parse(text, "what you wrote"))
    body = documents[0].body if len(documents) == 1 else None
    faults = faults_of(body) if body is not None else ["must be one document"]
    if body is None or faults:
        raise Misuse("\n".join(faults))
    api.ask("PUT", path, json={**body, **({"status": live["status"]} if "status" in live else {})}, params=_STRICT)
