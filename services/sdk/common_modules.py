"""Modules that managed services have in common, loaded once by the fork server that starts them.

None of them may begin a thread or open a file when it is imported. What only one service needs, that service loads.
"""

from __future__ import annotations

COMMON_MODULES = (
    "services.sdk.run",
    "services.sdk.aws.app",
    "services.sdk.aws.authentication",
    "services.sdk.aws.protocols",
    "services.sdk.informer",
    "services.sdk.keys",
    "controller.client.remote",
    "controller.reconcile.loop",
    "cryptography.hazmat.primitives.ciphers.aead",
    "httptools",
    "sniffio",
    "uvloop",
)
