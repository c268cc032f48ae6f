"""Whether an engine can run on this machine, and what its program is given; otherwise what has to be done first."""

from __future__ import annotations

from pathlib import Path

from controller.runtime.driver import DriverError
from controller.runtime.engines.finder import EngineFinder, FoundEngine, data_major
from controller.runtime.sandbox import interpreter
from crds.conditions import Reason
from crds.engines import Engine
from crds.engines.engine import fits

ENGINE_REASONS = frozenset({Reason.ENGINE_MISSING, Reason.ENGINE_VERSION_MISMATCH})
"""What somebody may put right on the machine at any moment."""


def find_engine(finder: EngineFinder, engine: Engine, version: str, volume: Path, worker: str) -> FoundEngine:
    """The program for that engine, of the version that was asked for or that its data needs. Blocking.

    Raises DriverError, whose message says what to do.
    """
    major = data_major(engine, volume)
    if major and not fits(version, major) and version:
        raise DriverError(
            f"its data is of {engine.name} {major}, and version {version} is asked for: set spec.engine.version to "
            f"{major} again; to move on, dump it there and restore it in a new Service",
            reason=Reason.ENGINE_VERSION_MISMATCH,
        )
    wanted = version or major
    if found := finder.find(engine, wanted):
        return found
    raise DriverError(_missing(finder, engine, wanted, worker), reason=Reason.ENGINE_MISSING)


def _missing(finder: EngineFinder, engine: Engine, wanted: str, worker: str) -> str:
    command = f"aerekos engine install {engine.name}{f' --version {wanted}' if wanted else ''}"
    there = ", ".join(each.version for each in finder.all(engine))
    but = f" (there is {there})" if there else ""
    name = f"{engine.name} {wanted}".strip()
    return f"{name} is not installed on {worker}; run there: {command}{but}"


def engine_env(found: FoundEngine) -> dict[str, str]:
    """What its script is told besides what every program is."""
    return {"ENGINE_PROGRAM": found.program, "PATH": f"{found.folder}:{interpreter.search_path()}"}
