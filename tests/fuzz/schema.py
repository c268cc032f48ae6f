"""`make fuzz`: schemathesis makes requests out of our own OpenAPI documents; no answer may be a 5xx.

Runs against a real cloud in a temporary home, as its admin. Exit code 0 when nothing was found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from clouds import Cloud, a_port

EXAMPLES = "20"


def main() -> None:
    schemathesis = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder) / "home", a_port())
        cloud.do("up")
        try:
            codes = [fuzz(schemathesis, cloud, Path(folder), name, text) for name, text in documents(cloud).items()]
        finally:
            cloud.do("down")
    sys.exit(max(codes))


def documents(cloud: Cloud) -> dict[str, str]:
    """Every OpenAPI v3 document, by the group it is of."""
    with cloud.http() as client:
        index = client.get("/openapi/v3").json()["paths"]
        return {name: client.get(each["serverRelativeURL"]).text for name, each in index.items()}


def fuzz(schemathesis: str, cloud: Cloud, folder: Path, name: str, document: str) -> int:
    if not json.loads(document)["paths"]:
        return 0
    print(f"\n{name}", flush=True)
    file, tls = folder / "openapi.json", cloud.home / "tls"
    file.write_text(document)
    command = [schemathesis, "run", str(file), "--url", f"https://127.0.0.1:{cloud.port}", "--no-color"]
    command += ["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "-n", EXAMPLES]
    command += ["--suppress-health-check", "all", "--request-timeout", "10", "--tls-verify", str(tls / "ca.crt")]
    command += ["--request-cert", str(tls / "admin.crt"), "--request-cert-key", str(tls / "admin.key")]
    return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    main()
