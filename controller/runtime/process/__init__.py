"""The `process` runtime: services as supervised child processes of this machine. Linux only."""

from controller.runtime.process.driver import ProcessDriver
from controller.runtime.process.orphans import stop_orphans

__all__ = ["ProcessDriver", "stop_orphans"]
