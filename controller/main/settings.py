"""Settings of a cloud: `settings.toml` in its home, and `AEREKOS_*` variables, which win.

Where it is reached (REMEMBERED) is written back by the start that was told: see remembered_settings.py.

Plain dataclasses, because every command loads them and must start quickly.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from controller.kit.pkcs11_token import TokenKey
from controller.main.errors import Misuse
from controller.main.home_folder import refusal
from controller.main.host_names import read_cloud_name, read_host, read_names
from controller.main.stack_settings import Stack, from_environment

RUNTIMES = ("auto", "process", "swarm")
ENCRYPTION = ("auto", "on", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")
ROLES = ("admin", "editor", "viewer")
DEFAULT_PORT = 7443
MOST_GATEWAYS = 64
FILE_VERSION = 1
REMEMBERED = ("host", "port", "runtime", "names", "cloud_name", "services_path", "store")
# Where this machine itself reaches a cloud that listens at more than one address.
_DIALLED = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104 (not a bind)


@dataclass(frozen=True, slots=True)
class SeededUser:
    """Somebody who may log in. Without a password, the first start makes a one-time one."""

    name: str
    roles: tuple[str, ...] = ("viewer",)
    namespace: str = "default"
    display_name: str = ""
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """One cloud. Everything it keeps lies under `home`. `told`: the keys this very command was told, by a flag or a
    variable. `names`: what else it is reached by, besides its own addresses and host name. `cloud_name`: what people
    call it; empty means as the machine. `engine_path`: the folders to look for engines in, as PATH has them; empty
    means the system's. `services_path`: more folders that hold managed services, in the same way. `store`: the URL of
    a PostgreSQL, without a password; empty means a file in the home. `gateways`: how
    many processes take what comes in; 0 means one for each core but one.
    """

    home: Path
    host: str = "localhost"
    port: int = DEFAULT_PORT
    runtime: str = "auto"
    names: tuple[str, ...] = ()
    cloud_name: str = ""
    users: tuple[SeededUser, ...] = (SeededUser("admin", ("admin",)),)
    admin_password: str | None = field(default=None, repr=False)
    log_level: str = "info"
    retention_hours: float = 72.0
    requests_per_second: int = 500
    watches_per_user: int = 500
    gateway_requests_per_principal: int = 10_000
    gateway_requests_per_address: int = 5_000
    gateway_requests_per_service: int = 20_000
    node_networks: str = "private"
    second_factor: str = "none"
    overlay_encryption: str = "auto"
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str = ""
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claim: str = ""
    oidc_signing_algs: str = "RS256"
    oidc_ca_file: Path | None = None
    oidc_create_users: str = "no"
    audit_policy: Path | None = None
    audit_failure: str = "refuse"
    audit_days: float = 30.0
    audit_max_mib: int = 10_240
    audit_data_lines_per_second: int = 50
    audit_denied_lines_per_second: int = 10
    audit_syslog: str = ""
    audit_webhook: str = ""
    audit_webhook_token_file: Path | None = None
    audit_sink_ca: Path | None = None
    audit_file: Path | None = None
    engine_path: str = ""
    services_path: str = ""
    store: str = ""
    otlp_endpoint: str = ""
    gateways: int = 0
    content_port: int = 0
    root_key: str = "file"
    pkcs11_module: Path | None = None
    pkcs11_token: str = ""
    pkcs11_key: str = "aerekos-root-key"
    pkcs11_pin_file: Path | None = None
    stack: Stack | None = None
    told: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Address at which this machine reaches the cloud."""
        host = _DIALLED.get(self.host, self.host)
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def file(self) -> Path:
        return self.home / "settings.toml"

    @property
    def store_file(self) -> Path:
        """The store, where it is a file."""
        return self.home / "store" / "records.db"

    @property
    def store_url(self) -> str:
        """The store's, as `open_store` takes it."""
        return self.store or f"sqlite:///{self.store_file}"

    @property
    def name(self) -> str:
        """What people call this cloud."""
        return self.cloud_name or socket.gethostname()

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def log_file(self) -> Path:
        return self.home / "logs" / "conductor.log"


_UNTOLD = frozenset({"home", "users", "admin_password", "stack", "told"})


def as_told(settings: Settings) -> dict[str, Any]:
    """The settings a running cloud can be compared by, as JSON has them: all but secrets."""
    kept = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in _UNTOLD}
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in kept.items()}
    return {**plain, "names": list(settings.names), "cloud_name": settings.name}


def as_variables(settings: Settings) -> dict[str, str]:
    """The environment that tells another process where the cloud is reached, and nothing else."""
    told = as_told(settings)
    written = {key: ",".join(told[key]) if key == "names" else str(told[key]) for key in REMEMBERED}
    return {variable(key): value for key, value in written.items()}


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return f"AEREKOS_{key.upper()}"


def default_home(env: Mapping[str, str] = os.environ) -> Path:
    """The user's data folder, as the platform has it."""
    if given := env.get("XDG_DATA_HOME"):
        return Path(given) / "aerekos"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "aerekos"
    return Path.home() / ".local" / "share" / "aerekos"


def load(
    env: Mapping[str, str] = os.environ,
    *,
    home: Path | None = None,
    port: int | None = None,
    runtime: str | None = None,
    host: str | None = None,
) -> Settings:
    """Arguments win over the environment, that over the file. Raises Misuse naming file, key and fix."""
    given_home = home or (Path(env["AEREKOS_HOME"]) if env.get("AEREKOS_HOME") else default_home(env))
    settings = _from_file(Settings(given_home.expanduser().absolute()))
    settings = _from_environment(settings, env)
    arguments = {"port": port, "runtime": runtime, "host": host}
    for key, value in arguments.items():
        if value is not None:
            settings = _told(settings, key, value, f"--{key}")
    if settings.content_port == settings.port:
        raise Misuse(
            f"content_port: {settings.port} is the port of everything else", hint="another port makes another origin"
        )
    token_key_of(settings)
    return replace(settings, stack=from_environment(env))


def token_key_of(settings: Settings) -> TokenKey | None:
    """The key that wraps the root key, where a token is set up. Raises Misuse for half of one."""
    said = {
        "pkcs11_module": settings.pkcs11_module,
        "pkcs11_token": settings.pkcs11_token,
        "pkcs11_pin_file": settings.pkcs11_pin_file,
    }
    missing = [name for name, value in said.items() if not value]
    if len(missing) == len(said) and settings.root_key == "file":
        return None
    if missing:
        hint = "a token takes pkcs11_module (its library), pkcs11_token (its label) and pkcs11_pin_file"
        raise Misuse(f"{missing[0]}: is missing", hint=hint)
    assert settings.pkcs11_module is not None and settings.pkcs11_pin_file is not None
    return TokenKey(settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_key, settings.pkcs11_pin_file)


def _from_file(settings: Settings) -> Settings:
    file, kept = settings.file, _read(settings.file)
    version = kept.pop("version", FILE_VERSION)
    if version != FILE_VERSION:
        newer = "start it with the newer aerekos that wrote it, or put a backup of the file in its place"
        raise Misuse(f"{file}: version {version!r} is not known; this is version {FILE_VERSION}", hint=newer)
    for key, value in kept.items():
        settings = _with(settings, key, value, f"{file}: {key}")
    return settings


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise Misuse(f"{file.parent} is not a folder", hint="set AEREKOS_HOME to a folder") from None
    except OSError as error:
        raise refusal(file.parent, file, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{file} is not valid TOML: {error}", hint="correct that line, or move the file away") from error


def _from_environment(settings: Settings, env: Mapping[str, str]) -> Settings:
    for key in VARIABLES:
        if text := env.get(variable(key)):
            settings = _told(settings, key, _number(text) if key in _NUMBERS else text, variable(key))
    return settings


_GATEWAY_LIMITS = (
    "gateway_requests_per_principal",
    "gateway_requests_per_address",
    "gateway_requests_per_service",
)
_LIMITS = ("requests_per_second", "watches_per_user", *_GATEWAY_LIMITS)
_AUDIT_NUMBERS = ("audit_max_mib", "audit_data_lines_per_second", "audit_denied_lines_per_second", "audit_days")
_FILE_ALONE = frozenset({"users"})
_NUMBERS = ("port", "content_port", "retention_hours", "gateways", *_LIMITS, *_AUDIT_NUMBERS)


def _number(text: str) -> object:
    """The number a variable holds, or the text itself for the check to name."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _told(settings: Settings, key: str, value: object, where: str) -> Settings:
    return replace(_with(settings, key, value, where), told=settings.told | {key})


def _with(settings: Settings, key: str, value: object, where: str) -> Settings:
    """`settings` with one value changed, once it has been checked."""
    check = _CHECKS.get(key)
    if check is None:
        raise Misuse(f"{where}: unknown setting", hint=f"remove it; known settings: {', '.join(sorted(_CHECKS))}")
    return replace(settings, **{key: check(value, where)})


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise Misuse(f"{where}: must be a text, not {value!r}", hint='write it in quotes, e.g. "127.0.0.1"')
    return value


def _port(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise Misuse(f"{where}: must be a port from 1 to 65535, not {value!r}", hint=f"use e.g. {DEFAULT_PORT}")
    return value


def _content_port(value: object, where: str) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _port(value, where)


def _hours(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise Misuse(f"{where}: must be a number of hours above 0, not {value!r}", hint="use e.g. 72")
    return float(value)


def _limit(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise Misuse(f"{where}: must be a number from 1 to 1000000, not {value!r}", hint="use e.g. 500")
    return value


def _gateways(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_GATEWAYS:
        hint = "use 0 for one on each core but one"
        raise Misuse(f"{where}: must be a number from 0 to {MOST_GATEWAYS}, not {value!r}", hint=hint)
    return value


def _networks(value: object, where: str) -> str:
    from controller.kit.networks import parse_networks

    text = _text(value, where)
    try:
        parse_networks(text)
    except ValueError as odd:
        raise Misuse(f"{where}: {odd}", hint='use e.g. "private,203.0.113.0/24"') from odd
    return text


def _days(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= 36_500:
        raise Misuse(f"{where}: must be a number of days, 1 or more, not {value!r}", hint="use e.g. 30")
    return float(value)


def _path(value: object, where: str) -> Path:
    return Path(_text(value, where)).expanduser().absolute()


def _folders(example: str) -> Callable[[object, str], str]:
    def check(value: object, where: str) -> str:
        if value == "":  # as it is remembered
            return ""
        text = _text(value, where)
        if relative := [each for each in text.split(os.pathsep) if not Path(each).is_absolute()]:
            raise Misuse(f"{where}: {relative[0]!r} is not absolute", hint=f"use e.g. {example}")
        return text

    return check


def read_store(value: object, where: str) -> str:
    from urllib.parse import parse_qs, urlsplit

    if value == "":  # as it is remembered
        return ""
    text = _text(value, where)
    example = "use e.g. postgresql://aerekos@db.example.com/aerekos?sslmode=verify-full&passfile=/etc/aerekos/pgpass"
    try:
        parts = urlsplit(text)
        told = parse_qs(parts.query)
    except ValueError as odd:
        raise Misuse(f"{where}: {odd}", hint=example) from odd
    if parts.scheme not in ("postgresql", "postgres"):
        raise Misuse(f"{where}: must be a URL of PostgreSQL, not {parts.scheme or text!r}", hint=example)
    if ":" in parts.netloc.rpartition("@")[0] or "password" in told or "sslpassword" in told:
        hint = "put it into a file only you read, as host:port:database:user:password, and say passfile=/the/file"
        raise Misuse(f"{where}: has a password in it, which others would see", hint=hint)
    if any(not Path(each).is_absolute() for each in told.get("passfile", ())):
        raise Misuse(f"{where}: passfile must be an absolute path", hint=example)
    return text


def _collector(value: object, where: str) -> str:
    from urllib.parse import urlsplit

    text = _text(value, where)
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment or parts.username is not None:
        hint = "use e.g. http://127.0.0.1:4318"
        raise Misuse(f"{where}: must be the URL of an OTLP/HTTP collector, not {value!r}", hint=hint)
    return text


def _one_of(choices: tuple[str, ...]) -> Callable[[object, str], str]:
    def check(value: object, where: str) -> str:
        if value not in choices:
            raise Misuse(f"{where}: {value!r} is not known", hint=f"use one of {', '.join(choices)}")
        return str(value)

    return check


def _users(value: object, where: str) -> tuple[SeededUser, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise Misuse(f"{where}: must be a list of tables", hint='[[users]] name = "ada" roles = ["editor"]')
    users = tuple(_user(each, f"{where}[{index}]") for index, each in enumerate(value))
    if len({user.name for user in users}) < len(users):
        raise Misuse(f"{where}: two users have the same name", hint="rename one of them")
    return users


def _user(value: dict[str, Any], where: str) -> SeededUser:
    known = {"name", "roles", "namespace", "display_name", "password"}
    if unknown := sorted(set(value) - known):
        raise Misuse(f"{where}.{unknown[0]}: unknown setting", hint=f"known: {', '.join(sorted(known))}")
    if "name" not in value:
        raise Misuse(f"{where}.name: is missing", hint='name = "ada"')
    roles = value.get("roles", ["viewer"])
    if not isinstance(roles, list) or not roles or not set(map(str, roles)) <= set(ROLES):
        raise Misuse(f"{where}.roles: {roles!r} is not known", hint=f"a list of {', '.join(ROLES)}")
    texts = {key: _text(text, f"{where}.{key}") for key, text in value.items() if key != "roles"}
    return SeededUser(**texts, roles=tuple(roles))


_CHECKS: dict[str, Callable[[object, str], Any]] = {
    "host": read_host,
    "port": _port,
    "runtime": _one_of(RUNTIMES),
    "names": read_names,
    "cloud_name": read_cloud_name,
    "users": _users,
    "admin_password": _text,
    "log_level": _one_of(LOG_LEVELS),
    "retention_hours": _hours,
    "requests_per_second": _limit,
    "watches_per_user": _limit,
    "gateway_requests_per_principal": _limit,
    "gateway_requests_per_address": _limit,
    "gateway_requests_per_service": _limit,
    "node_networks": _networks,
    "second_factor": _one_of(("none", "admins", "everybody")),
    "overlay_encryption": _one_of(ENCRYPTION),
    "oidc_issuer": _text,
    "oidc_client_id": _text,
    "oidc_username_claim": _text,
    "oidc_username_prefix": _text,
    "oidc_groups_claim": _text,
    "oidc_groups_prefix": _text,
    "oidc_required_claim": _text,
    "oidc_signing_algs": _text,
    "oidc_ca_file": _path,
    "oidc_create_users": _one_of(("yes", "no")),
    "audit_policy": _path,
    "audit_failure": _one_of(("refuse", "continue")),
    "audit_days": _days,
    "audit_max_mib": _limit,
    "audit_data_lines_per_second": _limit,
    "audit_denied_lines_per_second": _limit,
    "audit_syslog": _text,
    "audit_webhook": _text,
    "audit_webhook_token_file": _path,
    "audit_sink_ca": _path,
    "audit_file": _path,
    "engine_path": _folders("/opt/postgresql/bin"),
    "services_path": _folders("/opt/services"),
    "store": read_store,
    "otlp_endpoint": _collector,
    "gateways": _gateways,
    "content_port": _content_port,
    "root_key": _one_of(("file", "pkcs11")),
    "pkcs11_module": _path,
    "pkcs11_token": _text,
    "pkcs11_key": _text,
    "pkcs11_pin_file": _path,
}

FILE_KEYS = frozenset(_CHECKS)
"""What settings.toml may hold."""
VARIABLES = tuple(key for key in _CHECKS if key not in _FILE_ALONE)
"""The settings that have a variable, too."""
