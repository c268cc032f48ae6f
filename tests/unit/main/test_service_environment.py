"""What the conductor gives a Service besides its spec: to a program, nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.main.service_environment import ContainerEnvironment, ProcessEnvironment
from controller.reconcilers.service_workload import RuntimeInputs, workload
from controller.runtime.driver import DriverError
from controller.runtime.engines.finder import EngineFinder
from crds.kinds.service import Service

PROGRAM = Service.model_validate({"metadata": {"name": "web", "namespace": "acme"}, "spec": {"command": ["x"]}})


@pytest.mark.anyio
async def test_a_program_gets_no_credential_no_secret_and_no_file_of_the_home() -> None:
    nothing: Any = None
    for given in (
        await ProcessEnvironment(nothing, nothing)(PROGRAM, None),
        await ContainerEnvironment(nothing, nothing, nothing)(PROGRAM, None),
    ):
        assert given == RuntimeInputs()
    wish = workload(PROGRAM, None, RuntimeInputs(), ())
    assert wish.program and not wish.reads and not wish.control


@pytest.mark.anyio
async def test_a_swarm_runs_no_engine_and_says_what_does() -> None:
    nothing: Any = None
    database = Service.model_validate({"metadata": {"name": "db"}, "spec": {"engine": {"name": "postgresql"}}})
    with pytest.raises(DriverError, match="process runtime only so far; give an image instead") as refused:
        await ContainerEnvironment(nothing, nothing, nothing)(database, None)
    assert (refused.value.reason, refused.value.retryable) == ("EngineUnsupported", False)


@pytest.mark.anyio
async def test_an_engine_is_given_its_program_and_no_file_of_the_home(tmp_path: Path) -> None:
    house: Any = SimpleNamespace(home=tmp_path / "home", worker="oak")
    for name in ("postgres", "initdb", "pg_isready"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\n")
        program.chmod(0o755)
    database = Service.model_validate({"metadata": {"name": "db"}, "spec": {"engine": {"name": "postgresql"}}})
    given = await ProcessEnvironment(house, EngineFinder([tmp_path / "bin"]))(database, None)
    assert given.engine and given.engine.version == "16.1" and given.programs == (str(tmp_path / "bin"),)
    assert not given.reads and not given.control and set(given.env) == {"ENGINE_PROGRAM", "PATH"}
