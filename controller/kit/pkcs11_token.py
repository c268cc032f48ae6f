"""The key that wraps the root key: AES-256 in a PKCS#11 token (an HSM, a smart card, SoftHSM), which it never leaves.

Wrapped form: nonce (12), ciphertext and tag (AES-GCM), bound to the number of the generation. A session is opened for
each call, which are few: at a start, at a rotation, and when a service starts. Source: PKCS #11 v2.40, CKM_AES_GCM.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pkcs11

KEY_BITS = 256
_NONCE = 12
# A login counts for the whole process: two at once are refused by the token.
_one_at_a_time = threading.Lock()
_refused_pins: dict[tuple[Path, str], bytes] = {}
"""Of each token the digest of the PIN that it called wrong: asked again and again, it would lock itself for good."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """`module`: the token's library, a shared object. `token`, `key`: labels. `pin_file`: holds the user's PIN, read
    whenever it is needed. Every call raises OSError, in words, when the token says no.
    """

    module: Path
    token: str
    key: str
    pin_file: Path

    def prepare(self) -> None:
        """See that token, PIN and key are there and work; make the key where the token has none of that label."""
        with self._session() as session:
            if self._found(session) is None:
                self._make(session)
        proof = secrets.token_bytes(32)
        if self.unwrap(self.wrap(proof, 0), 0) != proof:
            raise self._refusal("does not unwrap what it wrapped")

    def wrap(self, key: bytes, number: int) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        with self._session() as session:
            return nonce + bytes(self._need(session).encrypt(key, **self._gcm(nonce, number)))

    def unwrap(self, wrapped: bytes, number: int) -> bytes:
        nonce, sealed = wrapped[:_NONCE], wrapped[_NONCE:]
        with self._session() as session:
            return bytes(self._need(session).decrypt(sealed, **self._gcm(nonce, number)))

    def _gcm(self, nonce: bytes, number: int) -> dict[str, Any]:
        import pkcs11

        bound = f"aerekos root key\x00{number}".encode()
        return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": pkcs11.GCMParams(nonce, bound, 128)}

    def _need(self, session: pkcs11.Session) -> Any:
        if (found := self._found(session)) is None:
            raise self._refusal(f"has no AES key called {self.key}: is it the token the root key was wrapped by?")
        return found

    def _found(self, session: pkcs11.Session) -> Any:
        from pkcs11 import Attribute, KeyType, ObjectClass

        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self.key,
        }
        found = list(session.get_objects(wanted))
        if len(found) > 1:
            raise self._refusal(f"has {len(found)} keys called {self.key}; rename all but one")
        return found[0] if found else None

    def _make(self, session: pkcs11.Session) -> None:
        from pkcs11 import Attribute, KeyType, MechanismFlag

        session.generate_key(
            KeyType.AES,
            KEY_BITS,
            label=self.key,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
        )

    @contextmanager
    def _session(self) -> Iterator[pkcs11.Session]:
        try:
            import pkcs11
        except ImportError:
            raise OSError(errno.ENOENT, "the Python package python-pkcs11 is not installed: pip install it") from None
        pin = self._pin()
        digest, place = hashlib.sha256(pin.encode()).digest(), (self.module, self.token)
        with _one_at_a_time:
            if _refused_pins.get(place) == digest:
                raise self._refusal(f"wrong PIN; it is not tried again until {self.pin_file} has another")
            try:
                token = pkcs11.lib(str(self.module)).get_token(token_label=self.token)
                with token.open(rw=True, user_pin=pin) as session:
                    yield session
            except (pkcs11.PinIncorrect, pkcs11.PinLenRange) as refused:
                _refused_pins[place] = digest
                raise self._refusal(_words(refused)) from refused
            except (pkcs11.PKCS11Error, RuntimeError) as refused:
                raise self._refusal(_words(refused)) from refused

    def _pin(self) -> str:
        try:
            return self.pin_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as missing:
            raise OSError(errno.ENOKEY, f"the PIN is not read from {self.pin_file}: {missing}") from missing

    def _refusal(self, why: str) -> OSError:
        return OSError(errno.ENOKEY, f"the PKCS#11 token {self.token} ({self.module}): {why}")


def _words(refused: Exception) -> str:
    """What such an error means to a person; most of the library's have no text."""
    known = {
        "PinIncorrect": "wrong PIN",
        "PinLenRange": "wrong PIN",
        "PinLocked": "the PIN is locked after too many wrong ones; the token's officer unlocks it",
        "NoSuchToken": "no token of that label is there",
        "TokenNotPresent": "it is not plugged in",
        "EncryptedDataInvalid": "what is wrapped was not wrapped by that key, or is damaged",
        "EncryptedDataLenRange": "what is wrapped was not wrapped by that key, or is damaged",
        "GeneralError": "refused; what is wrapped may not be by that key",
        "MechanismInvalid": "knows no AES-GCM",
    }
    name = type(refused).__name__
    return known.get(name) or (f"{name}: {refused}" if str(refused) else name)
