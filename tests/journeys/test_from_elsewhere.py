"""Another machine reaches the cloud by address and by name: with `aerekos`, kubectl, aws and a browser, and with no
warning but the fingerprint. The machines are network namespaces with a wire between them.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clouds import REPOSITORY, Said, eventually
from keeper import ends_with_pytest
from namespaces import Machine, two_machines, why_not

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "can be done")
PASSWORD = "correct-horse-battery"
PORT = 7443
BIN = Path(sys.executable).parent
DASHBOARD = REPOSITORY / "dashboard"
NAMES = ("cloud.lan", "first.cloud.lan")
# Asks once a second over one connection, and says each time whether it is still the same.
STAY = """
import http.client, ssl, sys
trust = ssl.create_default_context(cafile=sys.argv[2])
line = http.client.HTTPSConnection(sys.argv[1], int(sys.argv[3]), context=trust)
for _ in sys.stdin:
    line.request("GET", "/health")
    print(line.getresponse().read().decode(), line.sock.getsockname()[1], flush=True)
    line.auto_open = False
"""


@dataclass(frozen=True)
class There:
    """The cloud's machine, and another one with somebody at it who has a home of their own."""

    cloud: Machine
    laptop: Machine
    home: Path
    elsewhere: Path
    said: str

    @property
    def at_home(self) -> dict[str, str]:
        return _env(self.home)

    @property
    def at_laptop(self) -> dict[str, str]:
        return _env(self.elsewhere)

    def aerekos(self, *arguments: str, text: str | None = None) -> Said:
        """`aerekos` on the laptop."""
        return self.laptop.run([sys.executable, "-m", "cli.main", *arguments], self.at_laptop, text)

    def do(self, *arguments: str, text: str | None = None) -> str:
        said = self.aerekos(*arguments, text=text)
        assert said.code == 0, said
        return said.out

    @property
    def fingerprint(self) -> str:
        said = self.cloud.run([sys.executable, "-m", "cli.main", "ca", "fingerprint"], self.at_home)
        assert said.code == 0, said
        return said.out.strip()

    def log_in(self, address: str) -> str:
        told = ("login", f"https://{address}:{PORT}", "--user", "admin", "--password-stdin")
        return self.do(*told, "--fingerprint", self.fingerprint, text=f"{PASSWORD}\n")


def _env(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_", "XDG_"))}
    return {**kept, "HOME": str(home), "AEREKOS_HOME": str(home / "cloud"), "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    told = {"AEREKOS_HOST": "::", "AEREKOS_NAMES": "cloud.lan", "AEREKOS_ADMIN_PASSWORD": PASSWORD}
    for each in (home, elsewhere):
        ends_with_pytest(each)
    with two_machines(*NAMES) as (cloud, laptop):
        command = [sys.executable, "-m", "cli.main", "up", "--runtime", "process", "--timeout", "240"]
        said = cloud.run(command, {**_env(home), **told}, timeout=300)
        try:
            assert said.code == 0, said
            yield There(cloud, laptop, home, elsewhere, said.out)
        finally:
            cloud.run([sys.executable, "-m", "cli.main", "down"], _env(home))
            shutil.rmtree(home, ignore_errors=True)


def test_the_start_says_what_to_type_there_and_what_to_compare(there: There) -> None:
    assert f"aerekos login https://cloud.lan:{PORT} --user NAME" in there.said
    assert there.fingerprint in there.said


@pytest.mark.parametrize("address", ["10.99.83.1", "[fd99:83::1]", "cloud.lan"])
def test_aerekos_and_kubectl_work_by_every_address(there: There, address: str) -> None:
    assert f"logged in to https://{address}:{PORT} as admin" in there.log_in(address)
    seen = json.loads(there.do("status", "-o", "json"))
    assert seen["ready"] and seen["url"] == f"https://{address}:{PORT}"
    config = there.elsewhere / "kubeconfig"
    config.write_text(there.do("kubeconfig"))
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine")
    said = there.laptop.run([kubectl, "--kubeconfig", str(config), "get", "services.aerekos.cloud"], there.at_laptop)
    assert said.code == 0 and "key-manager" in said.out, said


def test_another_fingerprint_lets_nobody_in(there: There) -> None:
    wrong = there.fingerprint.replace("A", "B").replace("0", "1")
    told = ("login", f"https://10.99.83.1:{PORT}", "-u", "admin", "--password-stdin")
    refused = there.aerekos(*told, "--fingerprint", wrong, text=f"{PASSWORD}\n")
    assert refused.code == 1 and there.fingerprint in refused.err and "nothing was sent" in refused.err


def test_a_person_at_a_terminal_compares_and_says_yes(there: There) -> None:
    there.aerekos("logout")
    command = [sys.executable, "-m", "cli.main", "login", f"10.99.83.1:{PORT}", "-u", "admin"]
    said = _dialog(there.laptop.inside(command), there.at_laptop, {"fingerprint: ": "yes", "of admin: ": PASSWORD})
    assert there.fingerprint in said and f"logged in to https://10.99.83.1:{PORT}" in said
    assert json.loads(there.do("status", "-o", "json"))["ready"]


def _dialog(command: list[str], env: dict[str, str], answers: dict[str, str]) -> str:
    """All that a program said on a terminal, which it is given for itself. Each question is answered once."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.execvpe(command[0], command, env)
    said, left = "", dict(answers)
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # EIO: it has ended
            break
        said += part.decode(errors="replace")
        for question in [each for each in left if said.rstrip("\r\n").endswith(each)]:
            os.write(terminal, f"{left.pop(question)}\n".encode())
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    return said


def test_the_aws_cli_works_from_there(there: There) -> None:
    there.log_in("cloud.lan")
    aws = {**there.at_laptop, **json.loads(there.do("env", "--format", "json"))}
    for command in (["s3", "mb", "s3://first"], ["s3", "cp", "README.md", "s3://first/"], ["s3", "ls", "s3://first"]):
        said = there.laptop.run([str(BIN / "aws"), *command], aws)
        assert said.code == 0, said
    assert "README.md" in said.out


def test_a_browser_that_knows_the_ca_warns_of_nothing(there: There) -> None:
    node, certutil = BIN / "node", shutil.which("certutil")
    built = (DASHBOARD / "dist" / ".built").exists() and (DASHBOARD / "node_modules" / ".installed-dev").exists()
    chromium = os.environ.get("AEREKOS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if certutil is None or chromium is None or not (node.exists() and built):
        pytest.skip("needs Chromium, certutil (libnss3-tools), Node and the dashboard: make browser dashboard")
    there.log_in("10.99.83.1")
    ca, store = there.elsewhere / "ca.crt", there.elsewhere / ".pki" / "nssdb"
    ca.write_text(there.do("ca", "show"))
    journey = [str(node), "journeys/from_elsewhere.ts", f"https://10.99.83.1:{PORT}", "admin", PASSWORD]
    command = there.laptop.inside(journey)
    stranger = {**there.at_laptop, "AEREKOS_CHROMIUM": chromium}
    before = subprocess.run(command, cwd=DASHBOARD, env=stranger, capture_output=True, text=True, timeout=300)
    assert before.returncode != 0 and "ERR_CERT_AUTHORITY_INVALID" in before.stderr, "the browser checks nothing"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "aerekos", "-i", str(ca)]):
        subprocess.run([certutil, "-d", f"sql:{store}", *words], check=True, capture_output=True)
    after = subprocess.run(command, cwd=DASHBOARD, env=stranger, capture_output=True, text=True, timeout=300)
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["issuer"] == "aerekos-ca"


def test_a_new_address_is_followed_and_no_connection_breaks(there: There) -> None:
    ca = there.elsewhere / "follow.crt"
    there.log_in("10.99.83.1")
    ca.write_text(there.do("ca", "show"))
    line = subprocess.Popen(
        there.laptop.inside([sys.executable, "-c", STAY, there.cloud.address, str(ca), str(PORT)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=there.at_laptop,
    )
    assert line.stdin is not None and line.stdout is not None
    line.stdin.write("\n")
    line.stdin.flush()
    before = line.stdout.readline()
    key = (there.home / "cloud" / "tls" / "server.key").read_bytes()
    there.cloud.ip("addr", "add", "10.99.83.77/24", "dev", there.cloud.cable)
    ask = ["curl", "-sS", "--max-time", "5", "--cacert", str(ca), f"https://10.99.83.77:{PORT}/health"]
    eventually(lambda: there.laptop.run(ask, there.at_laptop).out == "ok", "the certificate names the new address")
    worker = ("get", "workers", "-o", "json")
    eventually(lambda: "10.99.83.77" in there.do(*worker), "the worker is where it is")
    after, _ = line.communicate("\n", timeout=60)
    assert before.startswith("ok ") and after == before, "the connection of before goes on"
    assert (there.home / "cloud" / "tls" / "server.key").read_bytes() == key


def test_an_unknown_name_is_told_from_an_impostor(there: There) -> None:
    hosts = Path("/etc/netns") / there.laptop.namespace / "hosts"
    with hosts.open("a") as file:
        file.write(f"{there.cloud.address} other.lan\n")
    told = ("login", f"https://other.lan:{PORT}", "-u", "admin", "--password-stdin")
    refused = there.aerekos(*told, "--fingerprint", there.fingerprint, text=f"{PASSWORD}\n")
    assert refused.code == 3 and "does not name other.lan" in refused.err and "AEREKOS_NAMES=other.lan" in refused.err
