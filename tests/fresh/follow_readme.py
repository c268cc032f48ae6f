"""A newcomer's first hour, for real: a fresh clone, a user without rights, each Python there is, every block of the
README, then a reboot.

    python3 tests/fresh/follow_readme.py [--python PATH]... [--port N]

Takes the interpreters on PATH and those of pyenv when none is given. As root it makes a user for the run, who may
read nothing of ours; else it is run as oneself, in a home of its own. A reboot is the end of every process of that
user, and the next start by the unit that `aerekos service install` writes, as systemd does it. Needs the package
registries, and minutes for each Python; not in CI.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from readme import blocks, typed  # noqa: E402

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STEP_SECONDS, START_SECONDS, GRACE_SECONDS = 1500, 120, 10.0
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# How this machine reaches the package registries is no part of what is tried.
REGISTRIES = {
    name: value
    for name, value in os.environ.items()
    if name.upper().startswith(("PIP_", "NPM_CONFIG_"))
    or name.upper().endswith("_PROXY")
    or name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
}
# What a newcomer keeps, told in lines that must be the same after a reboot.
KEPT = """
export PATH=$PWD/.venv/bin:$PATH
eval $(aerekos env)
aws s3 cp s3://first/README.md - | cmp - README.md && echo "the object is whole"
aws s3 ls s3://first | awk '{print $4, $3}'
aws kms list-keys --query 'Keys[].KeyId' --output text | tr '\\t' '\\n' | sort
aerekos get services -o name | sort
aerekos ca fingerprint
aerekos status -o json | grep '"url"'
"""
ANOTHER = """
export PATH=$PWD/.venv/bin:$PATH
eval $(aerekos env)
aws s3 cp LICENSE s3://first/
"""
TRACES = (".local/share/aerekos", ".config/aerekos", ".config/systemd/user/aerekos.service")


class Failed(Exception):
    """A step did not do what the README promises. The message holds all that was said."""


class Newcomer:
    """Somebody with a home and a clone, and nothing else. `port`: 7443 may be somebody else's here."""

    def __init__(self, home: Path, user: str | None, python: Path, port: int) -> None:
        self.home, self.user, self.python = home, user, python
        self.clone = home / "aerekos-cloud"
        self._port = port
        self._name = user or pwd.getpwuid(os.getuid()).pw_name

    def does(self, what: str, script: str, *, first: bool = False) -> str:
        """The output of a bash script; all of it must succeed. `first`: tells the port, which is remembered."""
        began = time.monotonic()
        env = {"HOME": str(self.home), "PATH": SYSTEM_PATH, "USER": self._name, "LANG": "C.UTF-8", **REGISTRIES}
        if first:
            env["AEREKOS_PORT"] = str(self._port)
        command = self.as_them(["bash", "-o", "pipefail", "-ec", script])
        said = subprocess.run(
            command, env=env, cwd=self.clone, capture_output=True, text=True, timeout=STEP_SECONDS, check=False
        )
        print(f"  {time.monotonic() - began:7.1f} s  {what}", flush=True)
        if said.returncode or "Traceback" in said.stderr:
            raise Failed(f"{what}\n{script}\n→ {said.returncode}\n{said.stdout}\n{said.stderr}")
        return said.stdout

    def as_them(self, command: list[str]) -> list[str]:
        """That command, with the rights of this person."""
        who = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if self.user else []
        return [*who, *command]

    def processes(self) -> list[int]:
        """Everything of this person that runs: by user, or by the home it was told of."""
        mine = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and self._owns(each)]
        return [pid for pid in mine if pid not in (os.getpid(), os.getppid()) and _command(pid)]

    def left_running(self) -> list[str]:
        """Command lines of what has not ended some seconds after it should."""
        deadline = time.monotonic() + GRACE_SECONDS
        while left := self.processes():
            if time.monotonic() > deadline:
                return [f"{pid}: {_command(pid)}" for pid in left]
            time.sleep(0.2)
        return []

    def _owns(self, process: Path) -> bool:
        try:
            if self.user:
                return process.stat().st_uid == pwd.getpwnam(self.user).pw_uid
            return f"HOME={self.home}\0".encode() in (process / "environ").read_bytes()
        except OSError:
            return False

    def reboot(self) -> None:
        """Power off: nobody is asked, and nobody says goodbye."""
        while left := self.processes():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)


def _command(pid: int) -> str:
    """Empty for what has ended, also while nobody has taken notice of it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def follow(newcomer: Newcomer) -> None:
    """Raises Failed."""
    newcomer.does("make down before anything", "make down && test ! -e .venv")
    up = newcomer.does("make up", f"make up PYTHON={newcomer.python}", first=True)
    if f":{newcomer._port}" not in up or "CA fingerprint" not in up:
        raise Failed(f"make up does not say where the cloud is:\n{up}")
    newcomer.does("pip install awscli, as the README says", ".venv/bin/pip install --quiet awscli")
    path = "export PATH=$PWD/.venv/bin:$PATH\n"
    for title, script in typed((newcomer.clone / "README.md").read_text()):
        newcomer.does(f"README: {title}", path + script)
    newcomer.does("make up again", "make up")
    before = newcomer.does("what is there", KEPT)
    unit = newcomer.does("the unit", ".venv/bin/aerekos service install --dry-run")
    print("           reboot", flush=True)
    newcomer.reboot()
    start(newcomer, unit)
    again = newcomer.does("make up after it", "make up")
    if "already running" not in again:
        raise Failed(f"the unit started no cloud that runs:\n{again}")
    after = newcomer.does("what is there", KEPT)
    if before != after:
        raise Failed(f"after the reboot something else is there. Before:\n{before}\nAfter:\n{after}")
    keep_and_remove(newcomer, before)


def keep_and_remove(newcomer: Newcomer, before: str) -> None:
    """The README's copy, the way back to it, and the end. `before`: what KEPT says of the copy. Raises Failed."""
    readme = (newcomer.clone / "README.md").read_text()
    _, keep, back, remove = re.split(r"^# .*$", blocks(readme)["Keep it, or remove it"], flags=re.M)
    newcomer.does("README: keep a copy", keep)
    newcomer.does("another object, then back to the copy", f"{ANOTHER}\n{back}")
    if before != (after := newcomer.does("what is there", KEPT)):
        raise Failed(f"after going back to the copy something else is there. Before:\n{before}\nAfter:\n{after}")
    newcomer.does("README: remove it", remove)
    if left := newcomer.left_running():
        raise Failed(f"make down left running: {left}")
    if traces := [each for each in TRACES if (newcomer.home / each).exists()]:
        raise Failed(f"removed, but still there: {traces}")


def start(newcomer: Newcomer, unit: str) -> None:
    """What systemd does with that unit when the machine starts: its own command, folder and variables, nothing of any
    shell; over when the service says that it is ready. Raises Failed.
    """
    began, folder = time.monotonic(), said_in(unit, "WorkingDirectory")[0]
    own = dict(each.split("=", 1) for each in said_in(unit, "Environment"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, tempfile.TemporaryDirectory() as place:
        address = Path(place) / "notify"
        told.bind(str(address))
        told.settimeout(START_SECONDS)
        for each in (address.parent, address):
            each.chmod(0o777)
        env = {"HOME": str(newcomer.home), "USER": newcomer._name, "NOTIFY_SOCKET": str(address), **own}
        log = Path(said_in(unit, "StandardOutput")[0].removeprefix("append:"))
        with log.open("ab") as output:
            command = newcomer.as_them(said_in(unit, "ExecStart"))
            subprocess.Popen(command, env=env, cwd=folder, stdout=output, stderr=output, start_new_session=True)
        try:
            said = told.recv(100)
        except TimeoutError:
            said = b"nothing"
    print(f"  {time.monotonic() - began:7.1f} s  the start of the unit", flush=True)
    if said != b"READY=1":
        raise Failed(f"the unit said {said!r}, not that it is ready:\n{unit}\n{log.read_text()[-3000:]}")


def said_in(unit: str, key: str) -> list[str]:
    """The words of that line of a unit file. Sources: systemd.syntax(7), systemd.service(5)."""
    (line,) = re.findall(rf"^{key}=(.*)$", unit, flags=re.M)
    words = [word.replace("%%", "%") for word in shlex.split(line)]
    return [word.replace("$$", "$") for word in words] if key == "ExecStart" else words


def interpreters(given: Iterable[str]) -> list[Path]:
    """Those given; else one of each version that is on PATH or in pyenv."""
    if paths := [Path(each).absolute() for each in given]:
        return paths
    found: dict[str, Path] = {}
    for version in VERSIONS:
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
        path = shutil.which(f"python{version}", path=SYSTEM_PATH)
        if path or pyenv:
            found[version] = Path(path) if path else pyenv[-1]
    return list(found.values())


def with_python(python: Path, port: int) -> bool:
    """Whether everything went well with that interpreter. What it made is taken away again."""
    user = f"aerekos-fresh-{os.getpid()}" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="aerekos-fresh-"))
    home = folder / "home"
    if user:
        folder.chmod(0o755)
        subprocess.run(
            ["useradd", "--create-home", "--home-dir", str(home), "--shell", "/bin/bash", user], check=True
        )
    newcomer = Newcomer(home, user, python, port)
    try:
        home.mkdir(exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(newcomer.clone)], check=True)
        if user:
            subprocess.run(["chown", "-R", f"{user}:", str(newcomer.clone)], check=True)
        follow(newcomer)
        return True
    except (Failed, subprocess.SubprocessError) as failed:
        print(f"FAILED with {python}: {failed}", file=sys.stderr, flush=True)
        return False
    finally:
        newcomer.reboot()
        if user:
            subprocess.run(["userdel", user], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def readable(python: Path) -> None:
    """An interpreter in root's own folder: nobody else may go there. In a mount namespace of our own, everybody sees
    the folder it lies in, at its own place, and nothing else of root's.
    """
    # The one this very script runs by stays, too: it may have to import more.
    shown = {each for each in (python.resolve().parents[1], Path(sys.base_prefix)) if each.is_relative_to("/root")}
    kept = {each: tempfile.mkdtemp(prefix="aerekos-python-") for each in shown}
    for folder, keep in kept.items():
        subprocess.run(["mount", "--bind", str(folder), keep], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/root"], check=True)
    for folder, keep in kept.items():
        folder.mkdir(parents=True)
        subprocess.run(["mount", "--bind", keep, str(folder)], check=True)
        subprocess.run(["umount", keep], check=True)
        Path(keep).rmdir()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="an interpreter; repeat for more")
    parser.add_argument("--port", type=int, default=17443, help="of the cloud")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    well = True
    for python in interpreters(given.python):
        if os.geteuid() == 0 and python.resolve().is_relative_to("/root") and not given.inside:
            again = [sys.executable, __file__, "--inside", "--python", str(python), "--port", str(given.port)]
            well &= subprocess.run(["unshare", "-m", "--propagation", "private", *again], check=False).returncode == 0
            continue
        print(
            f"{python} ({subprocess.run([python, '-V'], capture_output=True, text=True).stdout.strip()})", flush=True
        )
        if given.inside:
            readable(python)
        well &= with_python(python, given.port)
    print("everything is as the README says" if well else "not everything is as the README says")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
