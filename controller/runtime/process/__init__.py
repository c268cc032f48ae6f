"""The `process` runtime: services as supervised child processes of this machine. Linux only."""

from controller.runtime.process.driver import ProcessDriver
from controller.runtime.process.sweeping import sweep

__all__ = ["ProcessDriver", "sweep"]
