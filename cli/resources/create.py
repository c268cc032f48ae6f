"""`aerekos create service`: from a template of the cloud, or from what was typed, to manifests and then to resources.

All of them are judged (a dry run) before the first is made, so that a refusal leaves nothing half there.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.api_client import ApiClient
from cli.output import as_json, as_yaml, complain, say
from cli.resources.kinds import Kinds
from cli.resources.manifests import ManifestDocument
from cli.tables import grid
from cli.urls import segment
from controller.main.errors import Misuse, UserError
from crds.engines import ENGINES
from crds.kinds.service_engines import superuser_secret
from crds.kinds.service_programs import port_variable

Manifest = dict[str, Any]
# What one ConfigMap can hold; Kubernetes takes no more either.
MOST_FILE_BYTES = 1_000_000
_FORMS = ("", "name", "yaml", "json")
_NAMED = "NAME=VALUE"


@dataclass(frozen=True)
class CreateOptions:
    """Options of `create` as they were typed. Texts as they came: `ports` are `8080` or `http=8080`, `env` and
    `values` `NAME=VALUE`, `files` `LOCAL:PATH`, `engine` `NAME` or `NAME=VERSION`, `value_files` `NAME=LOCAL`,
    `volumes` `NAME:PATH`.
    """

    name: str
    namespace: str
    template: str = ""
    values: Sequence[str] = ()
    value_files: Sequence[str] = ()
    command: str = ""
    image: str = ""
    engine: str = ""
    ports: Sequence[str] = ()
    published: int | None = None
    env: Sequence[str] = ()
    files: Sequence[str] = ()
    volumes: Sequence[str] = ()
    replicas: int | None = None
    memory: str = ""


def check(wanted: CreateOptions) -> None:
    """Raises Misuse for what contradicts itself."""
    sources = {"--template": wanted.template, "--command": wanted.command, "--image": wanted.image,
               "--engine": wanted.engine}  # fmt: skip
    given = [name for name, text in sources.items() if text]
    if not given:
        raise Misuse(
            "what shall run?",
            hint="--template T (see: aerekos templates), --command '...', --image IMAGE or --engine NAME",
        )
    if wanted.template and len(given) > 1:
        raise Misuse(f"{' and '.join(given)} contradict each other", hint="give one of them")
    if wanted.template:
        others = {"--port": wanted.ports, "--publish": wanted.published, "--env": wanted.env, "--file": wanted.files,
                  "--volume": wanted.volumes, "--memory": wanted.memory,
                  "--replicas": wanted.replicas}  # fmt: skip
        wrong = [name for name, text in others.items() if text]
        hint = f"its parameters: aerekos templates {wanted.template}; set them with --set {_NAMED}"
        if wrong:
            raise Misuse(f"a template takes no {', '.join(wrong)}", hint=hint)
    elif wanted.values or wanted.value_files:
        raise Misuse("--set and --set-file are for templates", hint="--env for the environment of what runs")


def manifests(api: ApiClient, wanted: CreateOptions, *, only_look: bool) -> list[Manifest]:
    """Manifests of what shall be made, in order. Raises Refused, Misuse, and UserError for a template that cannot run
    here.
    """
    if not wanted.template:
        return typed(wanted)
    found = _template(api, wanted.template)
    if not found["runsHere"] and not only_look:
        hint = "have its manifests all the same: --dry-run -o yaml"
        raise UserError(f"{wanted.template} cannot run here: {found['because']}", hint=hint)
    values: dict[str, Any] = dict(_pairs("--set", wanted.values))
    values |= {name: _text_of(Path(file)) for name, file in _pairs("--set-file", wanted.value_files)}
    body = {"name": wanted.name, "namespace": wanted.namespace, "parameters": values}
    return list(api.ask("POST", f"/templates/{segment(wanted.template)}", json=body)["items"])


def typed(wanted: CreateOptions) -> list[Manifest]:
    """A Service, and before it the ConfigMap of its files. Raises Misuse naming the option."""
    contents = _contents(wanted.files)
    spec: Manifest = {"image": wanted.image} if wanted.image else {}
    if wanted.engine:
        name, _, version = wanted.engine.partition("=")
        spec["engine"] = {"name": name, **({"version": version} if version else {})}
    if wanted.command:
        spec["command"] = _words(wanted.command)
    spec |= {name: value for name, value in (("replicas", wanted.replicas),) if value is not None}
    spec |= {
        name: value
        for name, value in (
            ("ports", _ports(wanted)),
            ("env", [{"name": name, "value": value} for name, value in _pairs("--env", wanted.env)]),
            ("files", [_file(wanted.name, path) for path in contents]),
            ("volumes", [_volume(each) for each in wanted.volumes]),
            ("resources", {"limits": {"memory": wanted.memory}} if wanted.memory else {}),
        )
        if value
    }
    meta = {"name": wanted.name, "namespace": wanted.namespace}
    service = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": meta, "spec": spec}
    return [*([_config_map(wanted, contents)] if contents else []), service]


def create(api: ApiClient, kinds: Kinds, items: Sequence[Manifest], *, dry_run: bool, form: str) -> None:
    """Makes them, and says so. Raises Refused before anything was made where that can be known."""
    if form not in _FORMS:
        raise Misuse(f'-o: "{form}" is not known', hint="one of name, yaml, json")
    documents = [(ManifestDocument("", each), kinds.of(each["apiVersion"], each["kind"])) for each in items]
    unknown = [each.kind for each, kind in documents if kind is None]
    if unknown:
        raise UserError(f"this cloud knows no {', '.join(unknown)}", hint="aerekos version")
    for how in ({"dryRun": "All"},) if dry_run else ({"dryRun": "All"}, {}):
        for each, kind in documents:
            assert kind is not None
            path = kind.path(each.body["metadata"]["namespace"])
            api.ask("POST", path, json=each.body, params={"fieldValidation": "Strict", **how})
    if form in ("yaml", "json"):
        say(_shown(items, form))
        return
    for each, _ in documents:
        said = f"{each.kind.lower()}/{each.name}"
        say(said if form == "name" else f"{said} created{' (dry run)' if dry_run else ''}")
    if not dry_run and not form:
        _tell_where(api, items[-1])


def show_templates(api: ApiClient, name: str, form: str) -> None:
    """All, or one with its parameters. Raises UserError for one that is not there."""
    if form not in ("table", "json", "yaml"):
        raise Misuse(f'-o: "{form}" is not known', hint="one of table, json, yaml")
    found: Any = _template(api, name) if name else api.get("/templates")["templates"]
    if form != "table":
        say(as_json(found) if form == "json" else as_yaml(found))
    elif name:
        say(_described(found))
    else:
        rows = [(each["name"], "yes" if each["runsHere"] else "no", each["description"]) for each in found]
        say(grid(("NAME", "RUNS HERE", "WHAT"), rows))


def _described(found: Manifest) -> str:
    runs = "yes" if found["runsHere"] else f"no: {found['because']}"
    rows = [
        (each["name"], each["type"], _default(each), each.get("description") or each["title"])
        for each in found["parameters"]
    ]
    head = f"{found['title']}: {found['description']}\nruns here: {runs}\n"
    return f"{head}\n{grid(('PARAMETER', 'TYPE', 'DEFAULT', 'WHAT'), rows)}"


def _default(parameter: Manifest) -> str:
    if parameter["type"] == "password":
        return "(made up)"
    text = str(parameter.get("default", "(required)"))
    return "(some lines)" if "\n" in text.strip() else text.strip()


def _template(api: ApiClient, name: str) -> Manifest:
    found = {each["name"]: each for each in api.get("/templates")["templates"]}
    if name not in found:
        raise UserError(f'there is no template "{name}"', hint=f"one of {', '.join(found)}")
    return dict(found[name])


def _tell_where(api: ApiClient, service: Manifest) -> None:
    meta, spec = service["metadata"], service["spec"]
    place = "" if meta["namespace"] == "default" else f" -n {meta['namespace']}"
    complain(f"see how it is: aerekos describe service {meta['name']}{place}")
    if spec.get("engine"):
        _tell_of_engine(meta["name"], spec, place)
        return
    if spec.get("ports") and meta["namespace"] == "default":
        complain(f"its address, once it is ready: {api.server}/services/{meta['name']}/")
    if not spec.get("image") and spec.get("ports"):
        named = [port_variable(each["name"]) for each in spec["ports"][1:] if each.get("name")]
        complain(f"it is told where to listen by HOST and {', '.join(['PORT', *named])}")


def _tell_of_engine(name: str, spec: Manifest, place: str) -> None:
    """Where it listens is known when it runs; its password is in a Secret."""
    known = ENGINES.get(spec["engine"]["name"])
    if known is not None and known.superuser:
        secret = f"aerekos get secret {superuser_secret(name)}{place} -o json"
        complain(f"its superuser is {known.superuser}; the password, once it was made: {secret}")
    published = next((each["published"] for each in spec.get("ports") or () if each.get("published")), None)
    where = f"127.0.0.1:{published}" if published else f"aerekos get pods{place} -o wide"
    complain(f"it listens, once it is ready, at: {where}")


def _pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (name, mark, _) in zip(texts, pairs, strict=True) if not name or not mark]
    if wrong:
        raise Misuse(f"{option} {wrong[0]}: is no {_NAMED}", hint=f"{option} COLOUR=blue")
    return [(name, value) for name, _, value in pairs]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Misuse(
            f"--command: {error}", hint="quote it as for a shell: --command 'python3 /app/main.py'"
        ) from error


def _ports(wanted: CreateOptions) -> list[Manifest]:
    ports: list[Manifest] = []
    for text in wanted.ports:
        name, _, number = text.rpartition("=")
        if not number.isdigit():
            raise Misuse(f"--port {text}: is no number", hint="--port 8080, or with a name --port http=8080")
        ports.append({"port": int(number), **({"name": name} if name else {})})
    if wanted.published is not None:
        if not ports:
            raise Misuse("--publish needs a --port", hint="--port 8080 --publish 8080")
        ports[0]["published"] = wanted.published
    return ports


def _volume(text: str) -> Manifest:
    name, mark, path = text.partition(":")
    if not mark or not path.startswith("/"):
        raise Misuse(f"--volume {text}: is no NAME:/PATH", hint="--volume data:/data")
    return {"name": name, "path": path}


def _contents(texts: Iterable[str]) -> dict[str, bytes]:
    """By the path where each file shall be; a folder stands for all files in it."""
    found: dict[str, bytes] = {}
    for text in texts:
        local, mark, path = text.rpartition(":")
        if not mark or not local or not path.startswith("/"):
            raise Misuse(
                f"--file {text}: is no LOCAL:/PATH", hint="--file main.py:/app/main.py, or --file site:/site"
            )
        found |= _read(Path(local), path.rstrip("/"))
    if (size := sum(map(len, found.values()))) > MOST_FILE_BYTES:
        hint = "keep them in a bucket (aws s3 cp) and fetch them at the start, or make an image of them"
        raise Misuse(f"--file: {size} bytes are more than one ConfigMap holds ({MOST_FILE_BYTES})", hint=hint)
    return found


def _read(local: Path, path: str) -> dict[str, bytes]:
    files = sorted(each for each in local.rglob("*") if each.is_file()) if local.is_dir() else [local]
    try:
        if not local.is_dir():
            return {path: local.read_bytes()}
        return {f"{path}/{each.relative_to(local).as_posix()}": each.read_bytes() for each in files}
    except OSError as error:
        raise Misuse(f"--file: {error.filename}: {error.strerror}", hint="give an existing file or folder") from error


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Misuse(f"--set-file: {file}: {error.strerror}", hint="give an existing file") from error
    except UnicodeDecodeError as error:
        raise Misuse(f"--set-file: {file}: is not UTF-8 text", hint="use --file for other files") from error


def _key(path: str) -> str:
    return "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in path.strip("/"))


def _file(name: str, path: str) -> Manifest:
    return {"path": path, "configMap": {"name": f"{name}-files", "key": _key(path)}}


def _config_map(wanted: CreateOptions, contents: Mapping[str, bytes]) -> Manifest:
    keys = [_key(path) for path in contents]
    if twice := next((each for each in keys if keys.count(each) > 1), ""):
        raise Misuse(f"--file: two of them would be called {twice}", hint="give one of them another path")
    plain: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, content in contents.items():
        try:
            plain[_key(path)] = content.decode()
        except UnicodeDecodeError:
            binary[_key(path)] = base64.b64encode(content).decode()
    meta = {"name": f"{wanted.name}-files", "namespace": wanted.namespace}
    parts = {name: value for name, value in (("data", plain), ("binaryData", binary)) if value}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **parts}


def _shown(items: Sequence[Manifest], form: str) -> str:
    if form == "json":
        return as_json(items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(items)})
    return "\n---\n".join(as_yaml(each).rstrip("\n") for each in items)
