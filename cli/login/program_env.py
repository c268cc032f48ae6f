"""The environment of programs that read variables of their own, beside AWS's: `aerekos env --for rclone`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from controller.main.errors import Misuse, UserError

Variables = dict[str, str]
REMOTE = "RCLONE_CONFIG_AEREKOS"


def variables_for(program: str, aws: Mapping[str, str]) -> Variables:
    """What that program reads, of what AWS tools read (`aws_env.NAMES`). Raises Misuse, UserError."""
    check_program(program)
    return PROGRAMS[program](aws)


def names_for(program: str) -> list[str]:
    """The names of what `variables_for` sets. Raises Misuse."""
    check_program(program)
    from cli.login.aws_env import NAMES

    return list(PROGRAMS[program](dict.fromkeys(NAMES, "https://localhost")))


def check_program(program: str) -> None:
    """Raises Misuse for one that is not known."""
    if program not in PROGRAMS:
        raise Misuse(f'--for: "{program}" is not known', hint=f"one of {', '.join(PROGRAMS)}")


def _with_certificates(aws: Mapping[str, str]) -> Variables:
    """OpenSSL's and Go's own variable. It stands for all authorities, so programs that need others want it unset."""
    return {**aws, "SSL_CERT_FILE": aws["AWS_CA_BUNDLE"]}


def _rclone(aws: Mapping[str, str]) -> Variables:
    """A remote of the name `aerekos`. Without AWS's own: rclone before 1.64 dies of AWS_CA_BUNDLE."""
    return {
        f"{REMOTE}_TYPE": "s3",
        f"{REMOTE}_PROVIDER": "Other",
        f"{REMOTE}_ENDPOINT": aws["AWS_ENDPOINT_URL"],
        f"{REMOTE}_REGION": aws["AWS_REGION"],
        f"{REMOTE}_LOCATION_CONSTRAINT": aws["AWS_REGION"],
        f"{REMOTE}_ACCESS_KEY_ID": aws["AWS_ACCESS_KEY_ID"],
        f"{REMOTE}_SECRET_ACCESS_KEY": aws["AWS_SECRET_ACCESS_KEY"],
        "RCLONE_CA_CERT": aws["AWS_CA_BUNDLE"],
    }


def _pgbackrest(aws: Mapping[str, str]) -> Variables:
    """Its first repository; the bucket and the path in it are yours to say. It knows certificates of names alone."""
    address = urlsplit(aws["AWS_ENDPOINT_URL"])
    return {
        "PGBACKREST_REPO1_TYPE": "s3",
        "PGBACKREST_REPO1_S3_ENDPOINT": _by_name(address.hostname or ""),
        "PGBACKREST_REPO1_STORAGE_PORT": str(address.port or 443),
        "PGBACKREST_REPO1_STORAGE_CA_FILE": aws["AWS_CA_BUNDLE"],
        "PGBACKREST_REPO1_S3_URI_STYLE": "path",
        "PGBACKREST_REPO1_S3_REGION": aws["AWS_REGION"],
        "PGBACKREST_REPO1_S3_KEY": aws["AWS_ACCESS_KEY_ID"],
        "PGBACKREST_REPO1_S3_KEY_SECRET": aws["AWS_SECRET_ACCESS_KEY"],
    }


def _by_name(host: str) -> str:
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host
    if local:
        return "localhost"
    raise UserError(
        f"pgbackrest wants a name, and this cloud is known by {host}",
        hint="log in by its name: aerekos login https://NAME:PORT",
    )


PROGRAMS: dict[str, Callable[[Mapping[str, str]], Variables]] = {
    "aws": dict,
    "minio": _with_certificates,
    "pgbackrest": _pgbackrest,
    "rclone": _rclone,
    "restic": _with_certificates,
}
