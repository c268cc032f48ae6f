"""What children of the fork server's tests do: `main` does what its first argument says."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import ssl
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key


def main() -> None:
    chore, *rest = sys.argv[1:]
    if chore == "exit":
        sys.exit(int(rest[0]))
    if chore == "fail":
        raise ValueError(rest[0])
    if chore == "wait":
        print("waits", flush=True)
        signal.pause()
    if chore == "tell":
        print(json.dumps(_facts()))


def _facts() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "env": dict(os.environ),
        "arguments": sys.argv,
        "title": Path("/proc/self/cmdline").read_bytes().decode(),
        "shown": Path("/proc/self/environ").read_bytes().rstrip(b"\0").decode().split("\0"),
        "descriptors": sorted(int(each.name) for each in Path("/proc/self/fd").iterdir())[:-1],
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "random": [
            random.random(),
            secrets.token_hex(8),
            ssl.RAND_bytes(8).hex(),
            generate_private_key(SECP256R1()).private_numbers().private_value,
        ],
    }


if __name__ == "__main__":
    main()
