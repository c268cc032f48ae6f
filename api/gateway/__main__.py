"""See api/gateway/process.py."""

import sys

# structlog would take rich along, where the command line has it, for tracebacks nobody reads here: six megabytes.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

from api.gateway.process import main  # noqa: E402

if __name__ == "__main__":
    main()
