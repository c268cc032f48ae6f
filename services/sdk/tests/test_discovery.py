"""Managed services are found by their folders: those that come along, and those that AEREKOS_SERVICES_PATH names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.sdk.discovery import folder_elsewhere, managed_service, managed_services

MANIFEST = "from crds.managed import ManagedService\nMANIFEST = ManagedService('{name}', 'Ours', '', 'x:create')\n"
LIST = "from services.sdk.discovery import managed_services; print(*(each.name for each in managed_services()))"
USE = "from services.sdk.discovery import use_folders; use_folders({path!r});"


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir(parents=True)
    (made / "__init__.py").touch()
    (made / "manifest.py").write_text(MANIFEST.format(name=name))
    return made


def python(program: str, path: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "AEREKOS_SERVICES_PATH": path}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)


def test_services_are_found_by_their_folder() -> None:
    names = [each.name for each in managed_services()]
    assert names == sorted(names) and names
    assert managed_service("sdk") is None
    assert managed_service("no_such_thing") is None
    assert not any(map(folder_elsewhere, names))


def test_so_are_those_in_other_folders(tmp_path: Path) -> None:
    folder(tmp_path / "one", "ours_manager")
    folder(tmp_path / "two", "more_manager")
    (tmp_path / "two" / "no_service").mkdir()
    path = os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")])
    with_both = ["more_manager", "ours_manager"]
    for said in (python(LIST, path), python(USE.format(path=path) + LIST)):
        assert [each for each in said.stdout.split() if each in with_both] == with_both, said.stderr
    code = f"from services.sdk.discovery import folder_elsewhere; print(folder_elsewhere('ours_manager')); {LIST}"
    assert python(code, path).stdout.splitlines()[0] == str(tmp_path / "one" / "ours_manager")


def test_processes_that_are_started_look_there_as_well(tmp_path: Path) -> None:
    folder(tmp_path, "ours_manager")
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LIST!r}])"
    assert "ours_manager" in python(USE.format(path=str(tmp_path)) + started).stdout


def test_a_folder_that_is_not_there_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    said = python(USE.format(path=str(tmp_path / "gone")))
    assert f"AEREKOS_SERVICES_PATH: there is no folder {tmp_path / 'gone'}" in said.stderr
    folder(tmp_path, managed_services()[0].name)
    said = python(LIST, str(tmp_path))
    assert "rename one of them" in said.stderr and str(tmp_path) in said.stderr


def test_a_manifest_that_cannot_be_read_says_whose_it_is(tmp_path: Path) -> None:
    (folder(tmp_path, "ours_manager") / "manifest.py").write_text("import no_such_module")
    assert "the manifest of ours_manager cannot be read: ModuleNotFoundError" in python(LIST, str(tmp_path)).stderr


def test_a_kind_that_another_one_has_is_refused(tmp_path: Path) -> None:
    text = "from crds.kinds.config_map import CONFIG_MAP\nfrom dataclasses import replace\n"
    text += MANIFEST.format(name="ours_manager") + "MANIFEST = replace(MANIFEST, kinds=(replace(CONFIG_MAP),))"
    (folder(tmp_path, "ours_manager") / "manifest.py").write_text(text)
    known = "from services.sdk.discovery import catalog_of, managed_services; catalog_of(managed_services())"
    assert (
        "ours_manager: two kinds claim configmaps; rename that of ours_manager" in python(known, str(tmp_path)).stderr
    )
