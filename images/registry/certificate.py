"""Makes the registry's identity: `registry.pem` (certificate and key) and `ca.crt`, by which the conductor knows it.

Usage: python3 images/registry/certificate.py FOLDER     The CA signs this one certificate, and its key is not kept.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from api.tls import CertificateAuthority

NAMES = ("registry", "aerekos_registry")


def main(folder: Path) -> None:
    with TemporaryDirectory() as work:
        authority = CertificateAuthority(Path(work), now=datetime.now(UTC))
        certificate, key = authority.server(list(NAMES))
        (folder / "ca.crt").write_bytes(authority.ca_file.read_bytes())
        (folder / "registry.pem").touch(mode=0o600)
        (folder / "registry.pem").write_bytes(certificate.read_bytes() + key.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
