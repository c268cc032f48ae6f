"""What the API is measured against: a FastAPI application that only answers, on uvicorn with TLS.

`python bench/bare.py <port> <tls folder>`: same certificates, same event loop. GET answers
with a resource of the same size from a dict; PATCH reads the JSON body, merges it in memory and answers with the
result. No identity, no rights, no validation, no history, no disk.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

app = FastAPI(openapi_url=None)
ROWS: dict[str, dict[str, Any]] = {}


@app.get("/rows/{name}")
async def get(name: str) -> dict[str, Any]:
    return ROWS[name]


@app.put("/rows/{name}")
async def put(name: str, body: dict[str, Any]) -> dict[str, Any]:
    ROWS[name] = body
    return body


@app.patch("/rows/{name}")
async def patch(name: str, body: dict[str, Any]) -> dict[str, Any]:
    row = ROWS[name] = {**ROWS[name], "data": {**ROWS[name]["data"], **body["data"]}}
    return row


def main() -> None:
    port, tls = int(sys.argv[1]), Path(sys.argv[2])
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http="httptools",
        log_config=None,
        access_log=False,
        ssl_certfile=str(tls / "server.crt"),
        ssl_keyfile=str(tls / "server.key"),
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
