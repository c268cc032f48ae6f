"""The blocks of the README that people type, for tests that type them. The standard library alone reads this."""

from __future__ import annotations

import re

# Sections whose blocks are not for a shell, or would install, build and deploy the whole project.
NOT_RUN = {
    "Two commands": "the cloud of this test is what `make up` starts, and this is what `make test` runs",
    "Keep it, or remove it": "removes the cloud of whoever runs it: tests/fresh has a user for that",
    "On several machines": "`make swarm-up` builds images: make test-swarm does all of that section",
    "From another machine": "takes another machine: test_from_elsewhere.py has one",
    "Layout": "no commands",
}
# A number people read off the line above, as the README says.
READ_OFF = {"12345": "$(aerekos events | sed -n 's/.*key-manager-0 started (pid \\([0-9]*\\),.*/\\1/p' | tail -n 1)"}


def blocks(markdown: str) -> dict[str, str]:
    """Section → its indented blocks, as one script."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", markdown, flags=re.M)[1:]:
        title, _, text = section.partition("\n")
        lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
        if lines:
            found[title.strip()] = "\n".join(lines) + "\n"
    return found


def typed(markdown: str) -> list[tuple[str, str]]:
    """The sections that are run, and their scripts with what is read off in its place."""
    scripts = [(title, text) for title, text in blocks(markdown).items() if title not in NOT_RUN]
    for shown, real in READ_OFF.items():
        scripts = [(title, text.replace(shown, real)) for title, text in scripts]
    return scripts
