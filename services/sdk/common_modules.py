"""Modules that managed services have in common, loaded once by the fork server that starts them.

None of them may begin a thread or open a file when it is imported. What only one service needs, that service loads.
"""

from __future__ import annotations

COMMON_MODULES = (
    "services.sdk.run",
    "services.sdk.aws.access",
    "services.sdk.aws.app",
    "services.sdk.aws.arns",
    "services.sdk.aws.authentication",
    "services.sdk.aws.pagination",
    "services.sdk.aws.protocols.json_codec",
    "services.sdk.aws.protocols.query_codec",
    "services.sdk.aws.rest_xml",
    "services.sdk.aws.tags",
    "services.sdk.clients.service_client",
    "services.sdk.informer",
    "services.sdk.keys",
    "services.sdk.loop_collector",
    "services.sdk.reconcile",
    "services.sdk.resources",
    "services.sdk.sqlite_schema",
    "controller.client.remote",
    "controller.reconcile.loop",
    # What those and their libraries load when they are first used.
    "anyio._backends._asyncio",
    "anyio.to_thread",
    "_strptime",
    "awscrt.checksums",
    "services.sdk.aws.served_models",
    "certifi",
    "cryptography.hazmat.backends.openssl.backend",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "cryptography.x509",
    "encodings.idna",
    "h11",
    "httpcore",
    "httptools",
    "jose.jwt",
    "sniffio",
    "sqlite3",
    "uvloop",
)
