"""The models of all managed services, loaded when this is imported: by the fork server, for all that it forks.

Parsed once there, a model is in the memory that services share; each for itself would keep what parsing left behind.
"""

from __future__ import annotations

from services.sdk.aws.model import load_model
from services.sdk.discovery import managed_services

for _service in managed_services():
    for _name in _service.speaks:
        load_model(_name)
