"""The command line against a real cloud: habits from other tools, questions at a terminal, everyday verbs."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clouds import PATIENCE_SECONDS, REPOSITORY, Cloud, eventually

from cli.main import run

Type = Callable[..., tuple[int, str, str]]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def aerekos(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Type:
    """`aerekos <words>` in this process, which is quicker by an interpreter: code, stdout, stderr."""
    for name in [each for each in os.environ if each.startswith(("AEREKOS_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)

    def say(*words: str, text: str = "") -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        code = run(list(words))
        told = capfd.readouterr()
        return code, told.out, told.err

    return say


class Terminal:
    """A program with a terminal of its own, typed at as a person would."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.execvpe(command[0], command, {**env, "TERM": "dumb", "PS1": "$ ", "LC_ALL": "C.UTF-8"})
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def until(self, pattern: str) -> str:
        """What was shown, once `pattern` was; a deadline ends the test."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            if select.select([self._file], [], [], 0.1)[0] and not self._read():
                assert re.search(pattern, self.seen), f"ended without {pattern!r}: {self.seen!r}"
        shown, self.seen = self.seen, ""
        return shown

    def _read(self) -> bool:
        try:
            block = os.read(self._file, 65536)
        except OSError:  # the other side has gone
            return False
        self.seen += block.decode(errors="replace")
        return bool(block)

    def code(self) -> int:
        """How it ended."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._file)


@pytest.fixture
def terminal(cloud: Cloud) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*command: str) -> Terminal:
        env = {**cloud.env, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
        opened.append(Terminal(list(command), env))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


TYPED = [
    ("aerekos rollb", "rollback"),
    ("aerekos get buck", "buckets"),
    ("aerekos describe services/key-", "services/key-manager"),
    ("aerekos get keys -n aerekos-s", "aerekos-system"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_completes_verbs_kinds_names_and_namespaces(
    cloud: Cloud, terminal: Callable[..., Terminal], shell: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    script = tmp_path / "completion"
    script.write_text(cloud.do("completion", "show", shell))
    bare = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}[shell]
    shown = terminal(shell, *bare, "-i")
    prepare = "" if shell == "bash" else f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump; "
    shown.type(f"{prepare}source {script}; echo rea''dy\n")
    shown.until("ready")
    for typed, whole in TYPED:
        shown.type(typed + "\t")
        shown.until(re.escape(whole))
        shown.type("\x15")  # the line is emptied
    shown.type("exit\n")
    assert shown.code() == 0


def test_fish_completes_them_too(cloud: Cloud, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish on this machine")
    script = tmp_path / "completion.fish"
    script.write_text(cloud.do("completion", "show", "fish"))
    asked = "; ".join(f"complete -C '{typed}'" for typed, _ in TYPED)
    env = {**cloud.env, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    said = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; {asked}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert [line.partition("\t")[0] for line in said.stdout.splitlines()] == [whole for _, whole in TYPED]


def test_a_cloud_that_is_away_completes_nothing_and_says_nothing(cloud: Cloud, tmp_path: Path) -> None:
    env = {"COMP_WORDS": "aerekos get ", "COMP_CWORD": "2", "_AEREKOS_COMPLETE": "complete_bash"}
    said = cloud.command(AEREKOS_HOME=str(tmp_path), **env)
    assert (said.code, said.out.strip(), said.err) == (0, "", "")


def test_versions_and_help(aerekos: Type) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*( \([0-9a-f]{9}\))?\n", aerekos("--version")[1])
    code, out, _ = aerekos("version", "-o", "json")
    assert code == 0 and json.loads(out)["cloud"] == json.loads(out)["client"] == aerekos("--version")[1].strip()
    assert "--tail" in aerekos("help", "logs")[1] and "--role" in aerekos("help", "user", "create")[1]
    assert aerekos("help", "lgos")[0] == 2


def test_what_get_prints_every_command_takes(aerekos: Type) -> None:
    names = aerekos("get", "services", "-o", "name")[1].split()
    assert "service/key-manager" in names
    for word in ("service/key-manager", "svc/key-manager", "deploy/key-manager"):
        assert "Name:       key-manager" in aerekos("describe", word)[1]
    assert "Started" in aerekos("describe", "svc", "key-manager")[1]  # events are about what is shown
    code, _, err = aerekos("delete", "svc", "key-manager")
    assert code == 1 and "needed by secrets-manager, storage-manager" in err
    assert "NAME" not in aerekos("get", "workers", "--no-headers")[1]
    assert "LABELS" in aerekos("get", "workers", "--show-labels")[1]
    assert aerekos("status", "-o", "foo")[0] == 2


def test_logs_by_the_name_that_get_pods_shows(aerekos: Type) -> None:
    pod = aerekos("get", "pods", "-o", "name")[1].split()[0]
    for word in (pod, pod.removeprefix("pod/")):
        code, out, _ = aerekos("logs", word, "--tail", "3")
        assert code == 0 and all(json.loads(line)["instance"] in pod for line in out.splitlines())
    assert len(aerekos("logs", "key-manager", "--tail", "1")[1].splitlines()) == 1
    code, _, err = aerekos("logs", "key-manager", "--instance", "nope")
    assert code == 1 and 'no instance "nope"; it has key-manager-0' in err
    assert aerekos("logs", "key-manager", "--since", "0s")[1] == ""
    stamped = aerekos("logs", "key-manager", "--since", "1h", "--timestamps", "--tail", "1")[1]
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z \{", stamped)
    assert aerekos("logs", "key-manager", "--since", "soon")[0] == 2
    code, _, err = aerekos("logs", "keymanager")
    assert code == 1 and "did you mean key-manager?" in err


def test_logs_are_for_people_on_a_terminal_and_as_written_elsewhere(
    aerekos: Type, terminal: Callable[..., Terminal]
) -> None:
    assert aerekos("logs", "key-manager", "--tail", "1")[1].startswith("{")
    shown = terminal("aerekos", "logs", "key-manager", "--tail", "2")
    text = shown.until("INFO")
    assert shown.code() == 0 and "{" not in text and "key-manager-0" in text


def test_a_command_runs_in_an_instance(aerekos: Type, terminal: Callable[..., Terminal]) -> None:
    code, out, err = aerekos("exec", "key-manager", "--", "sh", "-c", "echo said; echo told >&2; exit 7")
    assert (code, out, err) == (7, "said\n", "told\n")
    assert aerekos("exec", "nobody", "--", "true")[0] == 1
    shown = terminal("aerekos", "exec", "key-manager-0")
    shown.until(r"[$#] ")
    shown.type("echo $((6 * 7)); exit 4\n")
    shown.until("42")
    assert shown.code() == 4


def test_a_service_is_restarted_switched_off_and_on(cloud: Cloud, aerekos: Type) -> None:
    before = cloud.instances()["storage-manager-0"]
    assert aerekos("restart", "storage-manager")[0] == 0
    eventually(lambda: cloud.instances().get("storage-manager-0", before) != before, "another process")
    assert aerekos("wait", "service/storage-manager")[1] == "service/storage-manager is ready\n"
    code, out, _ = aerekos("logs", "storage-manager-0", "-p", "--tail", "1")
    assert code == 0 and "the service has stopped" in out
    assert aerekos("disable", "service/storage-manager")[0] == 0
    eventually(lambda: "storage-manager-0" not in cloud.instances(), "it stops")
    assert aerekos("enable", "storage-manager")[0] == 0
    assert aerekos("wait", "svc", "storage-manager", "--timeout", "60")[0] == 0


def test_edit_diff_and_rollback(aerekos: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "web.yaml"
    text = "apiVersion: aerekos.cloud/v1\nkind: Service\nmetadata: {name: edited}\n"
    file.write_text(text + "spec: {image: 'nginx:1', enabled: false, stopGraceSeconds: 1}\n")
    code, out, _ = aerekos("diff", "-f", str(file))
    assert code == 1 and "+  image: nginx:1" in out
    assert aerekos("apply", "-f", str(file))[0] == 0
    assert aerekos("diff", "-f", str(file)) == (0, "", "")
    monkeypatch.setenv("EDITOR", "sed -i s/nginx:1/nginx:2/")
    assert aerekos("edit", "svc/edited")[1] == "service/edited edited\n"
    assert "-  image: nginx:2" in aerekos("diff", "-f", str(file))[1]
    monkeypatch.setenv("EDITOR", "true")
    assert aerekos("edit", "service", "edited")[1] == "service/edited unchanged\n"
    assert aerekos("rollback", "edited", "--list")[1].split()[-1] == "image"
    assert aerekos("rollback", "edited")[1] == "service/edited rolled back to revision 1\n"
    assert json.loads(aerekos("get", "service", "edited", "-o", "json")[1])["spec"]["image"] == "nginx:1"
    assert aerekos("rollback", "edited", "--to-revision", "9")[0] == 2
    monkeypatch.setenv("EDITOR", "sed -i s/nginx:1/-/;s/image:/imge:/")
    code, _, err = aerekos("edit", "service", "edited")
    assert code == 1 and "imge" in err and "aerekos apply -f" in err
    assert aerekos("delete", "service", "edited")[0] == 0


def test_what_was_is_listed_compared_and_brought_back(aerekos: Type) -> None:
    for image in ("nginx:1", "nginx:2"):
        body = f"spec: {{image: '{image}', enabled: false}}\n"
        text = f"apiVersion: aerekos.cloud/v1\nkind: Service\nmetadata: {{name: timed}}\n{body}"
        assert aerekos("apply", "-f", "-", text=text)[0] == 0
    rows = [line.split() for line in aerekos("history", "service/timed")[1].splitlines()[1:]]
    assert [row[2] for row in rows] == ["created", "updated"] and rows[1][-1] == "spec.image"
    first = rows[0][0]
    assert "nginx:1" in aerekos("get", "service/timed", "-o", "yaml", "--at", first)[1]
    assert "timed" in aerekos("get", "services", "--at", first)[1]
    code, out, _ = aerekos("diff", "service/timed", "--at", first)
    assert code == 1 and "-  image: nginx:1" in out and "+  image: nginx:2" in out
    assert aerekos("diff", "service/timed", "--at", rows[1][0]) == (0, "", "")
    assert aerekos("undo", "service/timed", "--dry-run")[1].endswith("(nothing was changed: --dry-run)\n")
    assert aerekos("undo", "service/timed")[1].endswith(f"service/timed is as in revision {first} again\n")
    assert aerekos("delete", "service/timed")[0] == 0
    assert "made again" in aerekos("undo", "service", "timed")[1]
    assert json.loads(aerekos("get", "service", "timed", "-o", "json")[1])["spec"]["image"] == "nginx:1"
    code, _, err = aerekos("get", "service/timed", "--at", "400d")
    assert code == 1 and "this cloud was made later" in err
    assert aerekos("get", "service/timed", "--at", "soon")[0] == 2
    assert aerekos("undo", "service/timed", "--to", "1")[0] == 2
    assert aerekos("delete", "service/timed")[0] == 0


def test_questions_are_asked_at_a_terminal_alone(
    cloud: Cloud, aerekos: Type, terminal: Callable[..., Terminal]
) -> None:
    for name in ("asked", "piped"):
        assert aerekos("user", "create", name, "--password-stdin", text="correct horse battery 9\n")[0] == 0
    shown = terminal("aerekos", "delete", "user", "asked")
    shown.until(r"Delete\? \[y/N\]")
    shown.type("\n")
    assert shown.code() == 1
    assert aerekos("get", "user", "asked")[0] == 0
    shown = terminal("aerekos", "user", "delete", "asked")
    shown.until(r"\[y/N\]")
    shown.type("y\n")
    assert shown.code() == 0
    assert aerekos("delete", "user/piped")[0] == 0
    assert {"asked", "piped"}.isdisjoint(aerekos("user", "list", "-o", "name")[1].replace("user/", "").split())


def test_a_key_goes_by_a_date_and_may_stay(cloud: Cloud, aerekos: Type, terminal: Callable[..., Terminal]) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    code, _, err = aerekos("delete", "key", key)
    assert code == 1 and f"aerekos delete key {key} -n default --after 7" in err
    shown = terminal("aerekos", "delete", "key", key)
    shown.until(r"all that it encrypted is lost(.|\n)*\[y/N\]")
    shown.type("y\n")
    assert "will be deleted on" in shown.until("aerekos edit")
    assert shown.code() == 0
    assert json.loads(aerekos("get", "key", key, "-o", "json")[1])["spec"]["deletionDate"]
    assert aerekos("delete", "bucket", "x", "--after", "7")[0] == 2


def test_a_full_bucket_is_refused_at_once(cloud: Cloud, aerekos: Type, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert cloud.aws("s3", "mb", "s3://full").code == 0
    assert cloud.aws("s3", "cp", str(tmp_path / "file"), "s3://full/").code == 0
    began = time.monotonic()
    code, out, err = aerekos("delete", "bucket", "full")
    assert code == 1 and out == "" and "the bucket you tried to delete is not empty" in err
    assert "aws s3 rm --recursive s3://full" in err and time.monotonic() - began < PATIENCE_SECONDS / 2


def test_an_admin_who_logged_in_does_what_admins_do(
    cloud: Cloud, aerekos: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Elsewhere, with another configuration: nothing but the login proves who it is."""
    password, other = "correct horse battery 9\n", "another horse battery 9\n"
    assert aerekos("user", "create", "root2", "--role", "admin", "--password-stdin", text=password)[0] == 0
    where = ["--server", f"https://127.0.0.1:{cloud.port}", "--ca", str(cloud.home / "tls" / "ca.crt")]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AEREKOS_HOME", str(tmp_path))
        elsewhere.setenv("XDG_CONFIG_HOME", str(tmp_path))
        assert aerekos("login", "-u", "root2", *where, "--password-stdin", text=password)[0] == 0
        assert f"* root2@127.0.0.1:{cloud.port}" in aerekos("contexts")[1]
        for words, text in (
            (["user", "create", "bob", "--role", "viewer", "--password-stdin"], password),
            (["user", "passwd", "bob", "--password-stdin"], other),
            (["user", "disable", "bob"], ""),
            (["user", "enable", "bob"], ""),
            (["user", "delete", "bob"], ""),
            (["--context", f"root2@127.0.0.1:{cloud.port}", "get", "users"], ""),
        ):
            assert aerekos(*words, text=text)[0] == 0, words
        assert aerekos("--context", "local", "get", "users")[0] == 3  # no cloud was ever started there
    assert aerekos("delete", "user", "root2")[0] == 0


def test_events_tell_causes_before_effects(aerekos: Type) -> None:
    code, out, _ = aerekos("events", "--for", "service/key-manager", "-o", "json")
    reasons = [each["reason"] for each in json.loads(out)["items"]]
    assert code == 0 and reasons.index("Started") < reasons.index("Ready")
    assert re.search(r"^\d+[smhd] +1 +Normal +Started +service/key-manager", aerekos("events")[1], re.M)


def test_the_first_login_is_told_once(cloud: Cloud, aerekos: Type) -> None:
    code, out, _ = aerekos("first-login")
    assert code == 0 and "aerekos user passwd admin" in out
