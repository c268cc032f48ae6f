"""A cloud as `aerekos up` starts it: the password it prints leads in once, through choosing another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port, kill


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = Path(tmp_path_factory.mktemp("first")) / "home"
    made = Cloud(home, a_port())
    yield made
    made.command("down")
    for pid in made.processes():
        kill(pid)


def test_what_up_prints_leads_in_once_through_choosing_another(cloud: Cloud) -> None:
    said = cloud.command("up", "--timeout", "240", timeout=300)
    assert said.code == 0, said
    line = next(each for each in said.out.splitlines() if each.startswith("Login"))
    _, _, password = line.partition(":")[2].split()
    assert cloud.get("services")["items"], "the local admin's certificate goes on working"

    refused = cloud.command("login", "-u", "admin", "--password-stdin", text=f"{password}\n")
    assert refused.code == 2 and "New password" in refused.err, refused
    bad = cloud.command("login", "-u", "admin", "--password-stdin", text=f"{password}\npassword12345\n")
    assert bad.code == 1 and "common" in bad.err, bad
    good = cloud.command("login", "-u", "admin", "--password-stdin", text=f"{password}\nchosen by the admin\n")
    assert good.code == 0, good
    again = cloud.command("login", "-u", "admin", "--password-stdin", text=f"{password}\nanother one of mine\n")
    assert again.code == 1 and "wrong user name or password" in again.err, again

    assert cloud.do("user", "sessions").count("*") == 1
    key = cloud.do("user", "access-key", "create")
    assert "AWS_SECRET_ACCESS_KEY=" in key
    assert cloud.kms("list-keys") is not None, "and AWS tools work with the login's keys"
    cloud.do("user", "sign-out")
    ended = cloud.command("get", "services")
    assert ended.code == 1 and "log in again" in (ended.out + ended.err)
    assert cloud.command("logout").code == 0
    assert cloud.get("services")["items"]
    # The audit log tells who signed in and out, and none of the passwords.
    with cloud.http() as admin:
        told = json.dumps(admin.get("/audit?tail=500").json())
    for word in (password, "chosen by the admin"):
        assert word not in told
