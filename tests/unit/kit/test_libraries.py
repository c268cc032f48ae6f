"""A Python that lies elsewhere than it was built for tells its children where its libraries are, and no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from controller.kit.libraries import library_path
from controller.main.autostart import unit_of
from controller.runtime.process import programs, spawning

OWN = f"{sys.base_prefix}/lib"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (OWN, OWN),
        (f"/home/ada/lib:{OWN};{OWN}64:", f"{OWN}:{OWN}64"),
        ("/home/ada/lib", None),
        (f"{OWN}/../../../../../../tmp", None),
        (f"{sys.base_prefix}-evil/lib", None),
        ("lib::.", None),
        ("", None),
    ],
)
def test_only_folders_of_this_python_are_passed_on(given: str, kept: str | None) -> None:
    assert library_path({"LD_LIBRARY_PATH": given}).get("LD_LIBRARY_PATH") == kept
    assert library_path({}) == {}


def test_services_launchers_and_the_unit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/home/ada/lib:{OWN}")
    service = spawning.environment({}, instance="a-0", port=1, data=Path("/x"))
    assert service["LD_LIBRARY_PATH"] == programs.outer_environment()["LD_LIBRARY_PATH"] == OWN
    assert f'"LD_LIBRARY_PATH={OWN}"' in unit_of(Path("/x")).text("python", "/bin")
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert "LD_LIBRARY_PATH" not in programs.outer_environment()
    assert "LD_LIBRARY_PATH" not in unit_of(Path("/x")).text("python", "/bin")
