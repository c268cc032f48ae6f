"""The way out: posts and mails, to addresses that people chose, judged as those of webhooks are."""

from __future__ import annotations

import asyncio
import base64
import logging
import smtplib
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from io import BufferedIOBase
from threading import Timer
from typing import Any, cast

import anyio.to_thread
import orjson

from crds.errors import ApiError
from crds.kinds.secret import SECRET
from services.metrics_manager.alert_kinds import AlertChannel, MailTo
from services.metrics_manager.alerts import messages
from services.metrics_manager.alerts.messages import Group, Json
from services.metrics_manager.alerts.notifying import ChannelFault
from services.sdk.context import ServiceContext
from services.sdk.outbound import OutboundFault, OutboundHttp, allowed_addresses, resolved
from services.sdk.urls import url_fault

log = logging.getLogger(__name__)
SECONDS = 10.0
MAIL_SECONDS = 30.0
"""For each step of a mail there are `SECONDS`, for all of them these: then its connection is ended."""
AT_ONCE = 8
"""Messages of one namespace that are on their way at the same time. Whoever's address takes all and never answers
keeps nobody else's waiting.
"""
_MAILS_AT_ONCE = 64
_MOST_SAID = 256 << 10
_HEADERS = {"content-type": "application/json", "user-agent": "aerekos-alerts"}
_SMTPS = 465


class ChannelSender:
    """As `Sends`. `allows_private`: whether channels of that namespace may be in private networks."""

    def __init__(self, context: ServiceContext, http: OutboundHttp, allows_private: Callable[[str], bool]) -> None:
        self._own, self._http, self._private = context.resources, http, allows_private
        self._places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._threads: anyio.CapacityLimiter | None = None
        self._base = f"{context.api.rstrip('/')}/services/{context.service_name}"

    async def send(self, channel: AlertChannel, group: Group) -> None:
        """Raises ChannelFault, whatever goes wrong: no channel of anybody's ends the telling of others."""
        try:
            async with self._places[channel.metadata.namespace or ""]:
                await self._send(channel, group)
        except ChannelFault:
            raise
        except Exception as mistake:
            meta = channel.metadata
            log.exception("a channel cannot be told", extra={"fields": {"channel": f"{meta.namespace}/{meta.name}"}})
            raise ChannelFault(f"it cannot be told: {type(mistake).__name__}") from None

    async def _send(self, channel: AlertChannel, group: Group) -> None:
        """Raises ChannelFault."""
        spec = channel.spec
        secret = await self._secret(channel) if spec.secret_name else {}
        if spec.email is not None:
            await self._mail(channel, spec.email, group, secret.get("password", ""))
            return
        await self._post(channel, secret.get("url", ""), self._body(channel, group, secret))

    def _body(self, channel: AlertChannel, group: Group, secret: dict[str, str]) -> Json:
        match channel.spec.type:
            case "slack":
                return messages.slack(group)
            case "pagerduty":
                return messages.pagerduty(group, secret.get("routingKey", ""))
            case "heartbeat":
                return {"status": "alive"}
        return messages.webhook(group, channel.metadata.name, self._base)

    async def _secret(self, channel: AlertChannel) -> dict[str, str]:
        try:
            found = await self._own.get(SECRET, channel.spec.secret_name, channel.metadata.namespace)
        except ApiError as error:
            raise ChannelFault(f"the Secret {channel.spec.secret_name} cannot be read: {error.message}") from None
        return {
            name: base64.b64decode(value).decode("utf-8", "replace").strip()
            for name, value in (found.data or {}).items()
        }

    async def _post(self, channel: AlertChannel, url: str, body: Json) -> None:
        if fault := url_fault(url) if url else "is not there":
            raise ChannelFault(f"`url` of the Secret {channel.spec.secret_name} {fault}")
        allowed = allowed_addresses(url, private=self._private(channel.metadata.namespace or "default"))
        try:
            answer = await self._http.post(url, orjson.dumps(body), _HEADERS, seconds=SECONDS, is_allowed=allowed)
        except OutboundFault as fault:
            raise ChannelFault(str(fault)) from None
        if not 200 <= answer.status < 300:
            raise ChannelFault(f"it answered {answer.status}")

    async def _mail(self, channel: AlertChannel, to: MailTo, group: Group, password: str) -> None:
        message = messages.mail(group, to.sender, to.to)
        allowed = allowed_addresses("https://", private=self._private(channel.metadata.namespace or "default"))
        try:
            address = next((each for each in await resolved(to.host, to.port) if allowed(each)), None)
            if address is None:
                raise ChannelFault("the mail server's address is not one that may be called from here")
            await anyio.to_thread.run_sync(
                deliver, to, address, message, password, limiter=self._mailing(), abandon_on_cancel=True
            )
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise ChannelFault(f"the mail server did not take it: {type(error).__name__}") from None

    def _mailing(self) -> anyio.CapacityLimiter:
        """Threads of their own: those of the loop also look up names."""
        self._threads = self._threads or anyio.CapacityLimiter(_MAILS_AT_ONCE)
        return self._threads


def deliver(
    to: MailTo, address: str, message: EmailMessage, password: str, context: ssl.SSLContext | None = None
) -> None:
    """Blocking: hand it to the server at that very address, whose certificate is for its name. Raises OSError,
    smtplib.SMTPException; also where the server has no TLS.
    """
    secure = context or ssl.create_default_context()
    with _At(address, to.host, to.port, secure if to.port == _SMTPS else None) as server:
        if to.port != _SMTPS:
            server.starttls(context=secure)
        if to.username:
            server.login(to.username, password)
        server.send_message(message)


class _At(smtplib.SMTP):
    """One that connects to an address, knows the server by its name, and takes so long and hears so much at most."""

    def __init__(self, address: str, host: str, port: int, secure: ssl.SSLContext | None) -> None:
        self._address, self._secure = address, secure
        self._end: Timer | None = None
        self._copy: socket.socket | None = None
        super().__init__(host, port, timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        self._copy = plain.dup()
        self._end = Timer(MAIL_SECONDS, _ended, (self._copy,))
        self._end.daemon = True
        self._end.start()
        return plain if self._secure is None else self._secure.wrap_socket(plain, server_hostname=host)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = cast("Any", _Bounded(self.sock.makefile("rb")))
        return super().getreply()

    def close(self) -> None:
        super().close()
        if self._end is not None and self._copy is not None:
            self._end.cancel()
            self._copy.close()


def _ended(line: socket.socket) -> None:
    """Whoever waits for it in another thread hears of its end. `line`: a copy, which TLS does not take over."""
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


class _Bounded:
    """What a server says, which may go on for ever (`250-x` upon `250-x`). Raises OSError where it is too much."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file, self._left = file, _MOST_SAID

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the mail server says too much")
        return line

    def close(self) -> None:
        self._file.close()
