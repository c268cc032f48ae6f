"""Terraform, unmodified: a folder with a configuration, applied to a cloud of a test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clouds import Cloud, Said, run

SETTINGS = """
disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{ path = "{mirror}" }}
}}
"""
# A provider that waits for what never comes gives up after minutes.
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Tools:
    """`program`: Terraform. `mirror`: a folder with the provider, laid out as Terraform looks for it."""

    program: Path
    mirror: Path


@dataclass(frozen=True)
class Workspace:
    """A folder with one configuration and its state."""

    tools: Tools
    folder: Path
    cloud: Cloud

    def terraform(self, *arguments: str, changed: bool = False) -> Said:
        given = self.cloud.aws_env()
        settings = self.folder / "terraform.rc"
        settings.write_text(SETTINGS.format(mirror=self.tools.mirror))
        more = {
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "TF_VAR_changed": str(changed).lower(),
            "TF_VAR_endpoint": given["AWS_ENDPOINT_URL"],
            "SSL_CERT_FILE": given["AWS_CA_BUNDLE"],
        }
        return run([str(self.tools.program), *arguments], given | more, None, PATIENCE_SECONDS, self.folder)

    def do(self, *arguments: str, changed: bool = False) -> str:
        """What Terraform prints of what it has done."""
        said = self.terraform(*arguments, changed=changed)
        assert said.code == 0, f"{said.out[-2000:]}\n{said.err}"
        return said.out

    def apply(self, *, changed: bool = False) -> str:
        return self.do("apply", "-auto-approve", "-input=false", "-no-color", changed=changed)

    def planned(self, *, changed: bool = False) -> str:
        """What another apply would do; empty for nothing."""
        said = self.terraform("plan", "-detailed-exitcode", "-input=false", "-no-color", changed=changed)
        assert said.code in (0, 2), said.err
        return said.out if said.code == 2 else ""

    def outputs(self) -> dict[str, Any]:
        return {name: each["value"] for name, each in json.loads(self.do("output", "-json")).items()}
