"""Hosts and names as people write them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.main.errors import Misuse
from controller.main.host_names import is_address, is_name, read_cloud_name, read_host, read_names


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        (" 10.0.0.5 ", "10.0.0.5"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("Cloud.LAN.", "cloud.lan"),
        ("köln.lan", "xn--kln-sna.lan"),
        ("::", "::"),
        ("localhost", "localhost"),
    ],
)
def test_hosts_are_read_as_they_are_meant(written: str, read: str) -> None:
    assert read_host(written, "AEREKOS_HOST") == read


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "must be a text"),
        (7, "must be a text"),
        ("https://cloud.lan", "is a URL"),
        ("cloud.lan:7443", "holds a port"),
        ("[::1]:7443", "holds a port"),
        ("*", ":: for every address"),
        ("999.1.1.1", "neither"),
        ("a b", "neither"),
        ("-x", "neither"),
        ("[::1", "neither"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(written: object, words: str) -> None:
    with pytest.raises(Misuse) as refused:
        read_host(written, "AEREKOS_HOST")
    assert words in str(refused.value) and "AEREKOS_HOST" in str(refused.value)


def test_names_come_as_a_list_or_with_commas_each_once() -> None:
    assert read_names("cloud.lan, 10.0.0.5,,Cloud.lan", "x") == ("cloud.lan", "10.0.0.5")
    assert read_names(["[fd00::1]"], "x") == ("fd00::1",)
    assert read_names([], "x") == ()
    for wrong in (["*.lan"], "a b", 7, [7], ",".join(f"h{each}.lan" for each in range(65))):
        with pytest.raises(Misuse):
            read_names(wrong, "AEREKOS_NAMES")


@pytest.mark.parametrize("wrong", ["", " ", "a\nb", "a\x1b[31m", "x" * 64, "\u202ename", 7])
def test_a_cloud_is_not_called_what_a_terminal_obeys(wrong: object) -> None:
    with pytest.raises(Misuse):
        read_cloud_name(wrong, "AEREKOS_CLOUD_NAME")


@given(st.text(max_size=80))
def test_whatever_is_read_is_an_address_or_a_name_and_reads_as_itself(text: str) -> None:
    try:
        host = read_host(text, "x")
    except Misuse:
        return
    assert is_name(host) or is_address(host.partition("%")[0])
    assert read_host(host, "x") == host


@given(st.ip_addresses())
def test_every_address_is_read(address: object) -> None:
    assert ip_address(read_host(str(address), "x")) == address
    assert not is_name(str(address))
