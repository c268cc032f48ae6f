"""The conductor's side of `controller.main.backups.job`: orders one after the other, each in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import anyio
import structlog
from anyio.streams.text import TextReceiveStream

from controller.main.settings import Settings
from controller.reconcilers.backup import BackupJob, BackupOrder
from crds.meta import ObjectKey

log = structlog.get_logger("backup")
COMMAND = (sys.executable, "-P", "-m", "controller.main.backups.job")
AWS_FILE = "backup-aws"
_MOST_WAITING = 1000


class Jobs:
    """As `BackupJobs`. `run` does the work, until it is cancelled: then the process that is at work ends with it."""

    def __init__(self, settings: Settings, wake: Callable[[ObjectKey], None]) -> None:
        self._settings, self._wake = settings, wake
        self._jobs: dict[str, BackupJob] = {}
        self._give, self._take = anyio.create_memory_object_stream[tuple[str, BackupOrder, ObjectKey]](_MOST_WAITING)

    def find(self, name: str) -> BackupJob | None:
        return self._jobs.get(name)

    def start(self, name: str, order: BackupOrder, wake: ObjectKey) -> None:
        try:
            self._give.send_nowait((name, order, wake))
        except anyio.WouldBlock:
            return  # the next pass asks again
        self._jobs[name] = BackupJob()

    def drop(self, name: str) -> None:
        self._jobs.pop(name, None)

    async def run(self) -> None:
        """Never ends by itself."""
        async for name, order, key in self._take:
            if (job := self._jobs.get(name)) is None:
                continue  # dropped while it waited
            try:
                await self._do(job, order)
            except Exception as broke:  # whatever it was: the next order must not wait for it
                job.failure = f"its process broke: {broke!r}"
            job.finished = True
            log.info("backup job ended", action=order.action, to=order.to, failure=job.failure or None)
            self._wake(key)

    async def _do(self, job: BackupJob, order: BackupOrder) -> None:
        async with await anyio.open_process(COMMAND, stderr=sys.stderr, env=self._env()) as process:
            try:
                assert process.stdin is not None and process.stdout is not None
                await process.stdin.send(self._worded(order))
                await process.stdin.aclose()
                rest = ""
                async for text in TextReceiveStream(process.stdout):
                    *lines, rest = (rest + text).split("\n")
                    for line in lines:
                        _note(job, json.loads(line))
                await process.wait()
            except BaseException:
                process.kill()
                raise
        if not job.failure and not job.result:
            job.failure = f"its process ended with {process.returncode}; the conductor's log may say why"

    def _env(self) -> dict[str, str]:
        """What opens S3 is a file of the home, where there is one: the form of AWS's own, with `endpoint_url`."""
        file = self._settings.home / "secrets" / AWS_FILE
        both = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
        return {**os.environ, **dict.fromkeys(both if file.exists() else (), str(file))}

    def _worded(self, order: BackupOrder) -> bytes:
        told = {
            "action": order.action,
            "home": str(self._settings.home),
            "cloud": self._settings.name,
            "servicesPath": self._settings.services_path,
            "store": self._settings.store,
            "to": order.to,
            "madeAt": order.made_at.isoformat() if order.made_at else None,
            "mark": order.mark,
            "id": order.id,
        }
        return json.dumps(told).encode()


def _note(job: BackupJob, line: dict[str, object]) -> None:
    if isinstance(read := line.get("read"), int) and isinstance(new := line.get("new"), int):
        job.read_bytes, job.new_bytes = read, new
    if isinstance(result := line.get("result"), dict):
        job.result = result
    if failure := line.get("failure"):
        job.failure = str(failure)
