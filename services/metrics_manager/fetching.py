"""How what runs in this cloud is asked for its metrics: by the conductor."""

from __future__ import annotations

import httpx

from services.metrics_manager.names import TARGETS_PATH
from services.metrics_manager.scraping import ScrapeFault

MOST_BYTES = 8 << 20
_ACCEPT = {"accept": "text/plain;version=0.0.4"}


class ConductorFetch:
    """Asks the conductor, in this service's own name."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def text(self, path: str, seconds: float = 10.0, query: dict[str, str] | None = None) -> str:
        """Raises ScrapeFault."""
        try:
            answer = await self._client.get(path, params=query, headers=_ACCEPT, timeout=seconds)
        except httpx.HTTPError as error:
            raise ScrapeFault(f"the conductor cannot be reached: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise ScrapeFault(f"the conductor answered {answer.status_code}: {_message(answer)}")
        if len(answer.content) > MOST_BYTES:
            raise ScrapeFault(f"the answer has more than {MOST_BYTES} bytes")
        return answer.text

    async def instances(self) -> list[dict[str, object]]:
        """`{namespace, service, instance, managed}` of what is ready. Raises ScrapeFault."""
        try:
            answer = await self._client.get(TARGETS_PATH, timeout=10.0)
            found = answer.json()["targets"] if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ScrapeFault(f"the conductor cannot be asked what there is: {type(error).__name__}") from None
        if found is None:
            raise ScrapeFault(f"the conductor answered {answer.status_code}: {_message(answer)}")
        return list(found)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", ""))[:200]
    except (ValueError, AttributeError):
        return ""
