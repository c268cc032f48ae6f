"""The only package that an installation adds to site-packages: all others lie inside it.

Names as common as `api` or `controller` would collide there with anybody's. In a checkout these packages stand beside
this one instead, and are importable already.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_INSIDE = Path(__file__).resolve().parent


def aerekos() -> None:
    """The command `aerekos`."""
    _make_importable()
    from cli.main import main

    main()


def aerekos_agent() -> None:
    """The command `aerekos-agent`."""
    _make_importable()
    from agent.main import main

    main()


def _make_importable() -> None:
    """For this process, and for every Python it starts (`python -m cli.main`, the processes of managed services)."""
    if not (_INSIDE / "cli").is_dir():
        return
    inside = str(_INSIDE)
    sys.path.insert(0, inside)
    others = os.environ.get("PYTHONPATH", "")
    if inside not in others.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (inside, others)))
