"""What a service that keeps data offers whoever backs it up: all of it as one stream, and the way back."""

from __future__ import annotations

from typing import Protocol

from anyio.abc import ByteReceiveStream, ByteSendStream


class BackupHooks(Protocol):
    """Declared as `Service.backup`. The format of the stream is the service's own, and says its version first."""

    async def snapshot(self, stream: ByteSendStream) -> None:
        """Write what its data was at one moment, while it goes on serving. Secrets stay sealed as they are stored.

        Raises OSError when it cannot be read whole: what was written until then is worth nothing.
        """
        ...

    async def restore(self, stream: ByteReceiveStream) -> None:
        """Put that in the place of what is there: all of it, or nothing. Called before the service is ready.

        Raises ValueError for a stream of another format, a newer version, or a broken one.
        """
        ...
