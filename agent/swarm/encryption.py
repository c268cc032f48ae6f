"""Whether this kernel can encrypt overlay networks: IPsec's ESP with AES-GCM, as Docker asks for it.

Tried, because nothing tells: a state between two addresses set aside for documentation is made and taken away again.
`python3 -m agent.swarm.encryption` ends with 0 when it can, 1 when not, 2 when it was not allowed to try.
"""

from __future__ import annotations

import secrets
import subprocess
import sys

_BETWEEN = ("src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi")
_SECONDS = 5
_KEY_BYTES = 20  # of AES-128-GCM: the key and four bytes of salt


def can_encrypt() -> bool | None:
    """None when that cannot be found out here: without the right to try, or without `ip`."""
    spi = f"{secrets.randbelow(2**31) + 2**16:#x}"
    cipher = ("aead", "rfc4106(gcm(aes))", f"0x{secrets.token_hex(_KEY_BYTES)}", "64")
    try:
        tried = _ip("add", *_BETWEEN, spi, "mode", "transport", *cipher)
        if tried.returncode == 0:
            _ip("delete", *_BETWEEN, spi)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if "not permitted" in tried.stderr else tried.returncode == 0


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["ip", "xfrm", "state", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)


if __name__ == "__main__":
    sys.exit({True: 0, False: 1, None: 2}[can_encrypt()])
