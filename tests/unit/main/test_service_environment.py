"""What the conductor gives a Service besides its spec: to a program, nothing."""

from __future__ import annotations

from typing import Any

import pytest

from controller.main.service_environment import ContainerEnvironment, ProcessEnvironment
from controller.reconcilers.service_workload import RuntimeInputs, workload
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
