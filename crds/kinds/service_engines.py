"""What a Service that is an engine can ask for. How the engine starts, where it listens and where its data lies is
known of it; refused when it is written, naming the field, rather than dropped when it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from crds.engines import CONFIG_FOLDER, ENGINES, SECRETS_FOLDER, SUPERUSER_FILE, Engine
from crds.errors import Cause
from crds.kinds.service_programs import shared_faults
from crds.model import Model
from crds.rules import Write, forbidden

if TYPE_CHECKING:
    from crds.kinds.service import ServiceSpec

DATA_VOLUME = "data"
# They choose what code is loaded, or are the cloud's to say.
_NEVER = frozenset({"PATH", "HOME", "TMPDIR", "BASH_ENV", "ENV", "IFS", "SHELLOPTS", "GLIBC_TUNABLES"})
_NEVER_BEGINS = ("LD_", "ENGINE_")


def superuser_secret(service: str) -> str:
    """The Secret with the superuser of that Service: `db-superuser` of `db`."""
    return f"{service}-superuser"


class EngineRef(Model):
    """`name` of one of the engines this version knows. `version`, or its beginning (`15`); without one, that of the
    data that is there, or else the newest found on the machine.
    """

    name: Annotated[str, Field(max_length=63)]
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,3}$", max_length=32)] | None = None

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ENGINES:
            raise ValueError(f"there is no engine {name!r}; known are: {', '.join(sorted(ENGINES))}")
        return name

    @property
    def engine(self) -> Engine:
        """All that is known of it."""
        return ENGINES[self.name]


def engine_fault(spec: ServiceSpec) -> str:
    """Why no engine can be like that, beginning with the field; empty when one can."""
    return next(_faults(spec), "") if spec.engine else ""


def _faults(spec: ServiceSpec) -> Iterator[str]:
    assert spec.engine is not None
    engine = spec.engine.engine
    for field in ("command", "args"):
        if getattr(spec, field):
            yield f"{field}: how {engine.name} starts is known of it; leave {field} out"
    if spec.mode != "replicated":
        yield "mode: an engine is always replicated; leave mode out"
    if engine.most and spec.replicas > engine.most:
        yield f"replicas: two copies of {engine.name} would write to the same data; use {engine.most}"
    yield from shared_faults(spec, "an engine")
    yield from _file_faults(spec, engine)
    yield from _volume_faults(spec, engine)
    yield from _env_faults(spec, engine)


def _file_faults(spec: ServiceSpec, engine: Engine) -> Iterator[str]:
    given = {each.path for each in spec.files}
    for path in engine.needs_files:
        if path not in given:
            yield f"files: {engine.name} needs its configuration at {path}; add it, e.g. from a ConfigMap"
    for each in spec.files:
        folder = SECRETS_FOLDER if each.secret is not None else CONFIG_FOLDER
        if each.path == SUPERUSER_FILE and engine.superuser:
            yield f"files: {each.path}: there is the superuser's password; take another name"
        if not each.path.startswith(f"{folder}/"):
            sort = "what is secret" if each.secret is not None else "configuration"
            yield f"files: {each.path}: {sort} of an engine lies below {folder}"


def _volume_faults(spec: ServiceSpec, engine: Engine) -> Iterator[str]:
    for each in spec.volumes:
        if each.name == DATA_VOLUME and each.path != engine.volume:
            where = (
                f"it must be at {engine.volume}" if engine.volume else f"{engine.name} keeps none; name it otherwise"
            )
            yield f"volumes: data: {where}"
        if each.name != DATA_VOLUME and engine.volume and _overlap(each.path, engine.volume):
            yield f"volumes: {each.path}: there is the data of {engine.name}; choose another path"
        for folder in (CONFIG_FOLDER, SECRETS_FOLDER):
            if _overlap(each.path, folder):
                yield f"volumes: {each.path}: there are the files of {engine.name}; choose another path"


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _env_faults(spec: ServiceSpec, engine: Engine) -> Iterator[str]:
    if spec.env and not engine.takes_env:
        yield f"env: {engine.name} takes no variables; its settings go into a file below {CONFIG_FOLDER}"
    for each in spec.env:
        if each.name in _NEVER or each.name.startswith(_NEVER_BEGINS):
            yield f"env: {each.name} is not for the configuration of an engine; leave it out"


def engine_is_for_life(write: Write) -> Iterator[Cause]:
    """A Service does not become another engine: the data of the first would be the second's. Versions change."""
    if write.old is None or write.new is None:
        return
    before, after = (_name(body.get("spec") or {}) for body in (write.old, write.new))
    if before != after:
        yield forbidden("spec.engine.name", "it cannot change; delete this Service and make another")


def _name(spec: dict[str, object]) -> object:
    engine = spec.get("engine")
    return engine.get("name") if isinstance(engine, dict) else None
