"""`kubectl exec`: output, errors, input, exit codes, a terminal, and who may."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from clouds import Cloud
from kubectl import Kubectl, kubectl_for, programs

NEEDED = (1, 30)  # older ones speak only SPDY
WEBSOCKETS = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true"}  # the default from 1.31 on


@pytest.fixture
def kubectl(cloud: Cloud, tmp_path: Path) -> Kubectl:
    able = {version: path for version, path in programs().items() if version >= NEEDED}
    if not able:
        pytest.skip("no kubectl of 1.30 or newer here")
    return kubectl_for(cloud, able[max(able)], tmp_path)


def test_output_errors_and_the_exit_code_come_back(kubectl: Kubectl) -> None:
    said = kubectl.say("exec", "key-manager-0", "--", "sh", "-c", "echo out; echo err >&2; exit 7", **WEBSOCKETS)
    assert (said.code, said.out) == (7, "out\n")
    assert said.err.startswith("err\n")


def test_it_runs_in_the_surroundings_of_the_instance(kubectl: Kubectl) -> None:
    said = kubectl.say("exec", "key-manager-0", "--", "sh", "-c", "pwd; echo $AEREKOS_INSTANCE", **WEBSOCKETS)
    folder, instance = said.out.split()
    assert folder.endswith("data/key-manager") and instance == "key-manager-0"


def test_input_goes_in_and_ends(kubectl: Kubectl) -> None:
    text = "".join(f"line {n}\n" for n in range(20_000))
    said = kubectl.say("exec", "-i", "key-manager-0", "--", "cat", text=text, **WEBSOCKETS)
    assert (said.code, said.out) == (0, text)


def test_a_command_that_is_not_there_is_named(kubectl: Kubectl) -> None:
    said = kubectl.say("exec", "key-manager-0", "--", "no-such-program", **WEBSOCKETS)
    assert said.code == 1 and "no-such-program cannot be started" in said.err
    assert kubectl.say("exec", "nobody-0", "--", "ls", **WEBSOCKETS).code == 1


def test_files_are_copied_in_and_out(kubectl: Kubectl, tmp_path: Path) -> None:
    """`cp` is exec of tar, which the machine has."""
    (tmp_path / "in").write_text("gold")
    for source, target in ((tmp_path / "in", "key-manager-0:copied"), ("key-manager-0:copied", tmp_path / "out")):
        said = kubectl.say("cp", str(source), str(target), **WEBSOCKETS)
        assert said.code == 0, said
    assert (tmp_path / "out").read_text() == "gold"


def test_a_terminal_is_a_terminal(kubectl: Kubectl) -> None:
    ours, theirs = pty.openpty()
    command = [str(kubectl.program), "--kubeconfig", str(kubectl.config), "exec", "-it", "key-manager-0"]
    running = subprocess.Popen(
        [*command, "--", "sh", "-c", "tty && read word && echo got $word"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        env={**kubectl.cloud.env, **WEBSOCKETS},
    )
    os.close(theirs)
    os.write(ours, b"gold\n")
    seen = b""
    while b"got gold" not in seen:
        seen += os.read(ours, 1024)
    assert b"/dev/pts/" in seen and running.wait(60) == 0
    os.close(ours)


def test_only_admins_may(kubectl: Kubectl) -> None:
    for group, may in (("aerekos:editor", False), ("aerekos:viewer", False), ("aerekos:admin", True)):
        somebody = ["--as", "somebody", "--as-group", group]
        asked = kubectl.say("auth", "can-i", "create", "pods", "--subresource", "exec", *somebody)
        assert (asked.out.strip() == "yes") is may
        ran = kubectl.say("exec", "key-manager-0", *somebody, "--", "true", **WEBSOCKETS)
        assert (ran.code == 0) is may
        assert may or "cannot create resource" in ran.err
