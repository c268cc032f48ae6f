"""What a gateway shows its clients: the server's certificate as it lies in the home, read again when it changes."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from api.tls import addresses, dns_names

log = structlog.get_logger("gateway")


class ServerTls:
    """`context` is for a server: TLS 1.2 or newer; client certificates of our CA are verified, nobody needs one.
    `names`: the host names the certificate is for; `hosts`: these and its addresses. Raises OSError for
    a folder without certificates.
    """

    def __init__(self, folder: Path) -> None:
        self._certificate, self._key = folder / "server.crt", folder / "server.key"
        self._changed_at = self._look()
        self._read_names()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(self._certificate, self._key)
        self.context.load_verify_locations(folder / "ca.crt")
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def refresh(self) -> bool:
        """Use what is new from the next connection on. Whether there was something. What does not fit together yet
        (key and certificate are written one after the other) is looked at again next time.
        """
        try:
            now = self._look()
            if now == self._changed_at:
                return False
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
            self._read_names()
        except OSError as broken:  # ssl.SSLError is one
            log.warning("the certificate could not be read again; that of before is shown", because=str(broken))
            return False
        self._changed_at = now
        return True

    def _read_names(self) -> None:
        self.names = dns_names(self._certificate)
        self.hosts = (*self.names, *addresses(self._certificate))

    def _look(self) -> tuple[int, ...]:
        return tuple(each.stat().st_mtime_ns for each in (self._certificate, self._key))
