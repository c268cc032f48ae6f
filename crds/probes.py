"""How to find out whether something lives and whether it is ready. Kubernetes probe semantics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crds.model import Model

LONGEST_PATH = 2048
Seconds = Annotated[float, Field(ge=0, le=86400)]


class HttpGet(Model):
    """GET `path`; any status from 200 to 399 is a success. `port` defaults to the instance's own. As in Kubernetes,
    HTTPS does not ask whose certificate it is: a probe sends no secret, and what it hears opens nothing.
    """

    path: str = "/"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


def path_fault(path: str) -> str:
    """Why no request may be made for that path; empty when it may. Whatever is not one word would become more lines
    of the request: other headers, or another request.
    """
    if not path.startswith("/"):
        return "must begin with /"
    if len(path) > LONGEST_PATH:
        return f"must not be longer than {LONGEST_PATH} characters"
    if not all("!" <= letter <= "~" for letter in path):
        return "must be printable ASCII without spaces; escape the rest as %20"
    return ""


class TcpSocket(Model):
    """A TCP connection that opens is a success."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class Exec(Model):
    """A command that ends with exit code 0 within the timeout is a success."""

    command: Annotated[list[str], Field(min_length=1)]


class Probe(Model):
    """One question asked again and again. Exactly one of `httpGet`, `tcpSocket`, `exec` must be given."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: Seconds = 0
    period_seconds: Annotated[float, Field(gt=0, le=86400)] = 10
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 1
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 1
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3

    @model_validator(mode="after")
    def _asks_one_question(self) -> Probe:
        asked = [each for each in (self.http_get, self.tcp_socket, self.exec) if each is not None]
        if len(asked) != 1:
            raise ValueError("give exactly one of httpGet, tcpSocket, exec")
        return self


class Probes(Model):
    """`liveness` failing means replace it; `readiness` failing means send it no requests."""

    liveness: Probe | None = None
    readiness: Probe | None = None
