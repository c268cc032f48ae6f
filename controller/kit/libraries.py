"""Library paths of this very Python, for when it does not lie where it was built for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = "LD_LIBRARY_PATH"


def library_path(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child that is this Python needs besides: of our `LD_LIBRARY_PATH` the folders within this Python, and
    nothing when there are none. What lies in any other folder is no business of a service, which would load it.
    Source: ld.so(8).
    """
    own = Path(sys.base_prefix).resolve()
    given = env.get(_VARIABLE, "").replace(";", ":").split(":")
    kept = [each for each in given if Path(each).is_absolute() and Path(each).resolve().is_relative_to(own)]
    return {_VARIABLE: ":".join(kept)} if kept else {}
