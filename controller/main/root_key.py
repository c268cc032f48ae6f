"""The root key at a start: made at the first one, and refused where it is gone, or is not the one that stored records
are sealed under. Another one is made only for who gave up what they encrypt (docs/operations/lost-keys.md).

Consent is an empty file beside it, `root-key.give-up`, used up by the start that finds it. The key made then has a
generation above all that are given up, so services tell those from damage; its fingerprint is noted in
`root-key.accepted`, so that no other key passes for it at the next start.

With the setting `root_key = "pkcs11"`, a key that is made lies in that file only as a token wrapped it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import structlog

from controller.kit import generations
from controller.kit.files import write_private
from controller.kit.generations import Generation, Wrapping
from controller.kit.pkcs11_token import TokenKey
from controller.main.errors import UserError
from controller.main.settings import Settings, token_key_of
from controller.resources.registry import Registry
from controller.store.records import Record
from crds.managed import ManagedService, RootSealed
from services.sdk.discovery import load

log = structlog.get_logger("conductor")
_MOST_ROTATIONS = 2**20  # a record that names a generation above it is damaged


@dataclass(frozen=True, slots=True)
class SealedRecords:
    """All records of one kind that are sealed under the root key."""

    sealed: RootSealed
    records: Sequence[Record]

    def generations(self) -> Iterator[int]:
        """Under which generation each is."""
        generation = load(self.sealed.generation)
        return (generation(each.object) for each in self.records)

    def faults(self, content: bytes) -> Iterator[str | None]:
        """Why that key file's content does not open each, or None where it does."""
        fault = load(self.sealed.opener)(content)
        return (fault(each.object) for each in self.records)


class RootKeyFile:
    """`secrets/root-key`, and what lies beside it. `token` opens wrapped keys; with `wrap`, it wraps new ones."""

    def __init__(
        self, file: Path, sealed: Sequence[SealedRecords], token: Wrapping | None = None, *, wrap: bool = False
    ) -> None:
        self.file, self._sealed = file, [each for each in sealed if each.records]
        self._token, self.wrapping = token, token if wrap else None
        self._consent, self._accepted = (file.with_name(f"{file.name}.{each}") for each in ("give-up", "accepted"))

    def open(self, now: datetime) -> None:
        """See that it is there, and the right one. Raises UserError, and OSError for what is no key file."""
        if not self._sealed:
            self._make(now)
        elif self.file.exists():
            self._refuse_another()
        elif self._consent.exists():
            self._give_up(now)
        else:
            raise self._refusal(f"{self.file} is gone, and the keys of this cloud are sealed under it")
        self._consent.unlink(missing_ok=True)  # not left for the next time a key is missing

    def _refuse_another(self) -> None:
        held = self._opened(generations.read(self.file, closed=True))
        fault = self._fault(generations.text_of(held))
        if fault is not None and not self._is_accepted(held):
            raise self._refusal(
                f"{self.file} is not the root key of this cloud: it opens nothing that is sealed under it ({fault})"
            )

    def _make(self, now: datetime) -> None:
        """At the first start; before there is anything to lose, one that cannot be opened is refused all the same."""
        if not self.file.exists():
            generations.keep(self.file, now, self.wrapping)
        self._opened(generations.read(self.file, closed=True))

    def content(self) -> bytes:
        """As the file would be without a token: what services open their records with. Raises OSError."""
        return self.unwrapped() or self.file.read_bytes()

    def unwrapped(self) -> bytes | None:
        """What the token opened, as the file would be without it; None where none wraps it. Raises OSError."""
        held = generations.read(self.file, closed=True)
        if not any(each.wrapped for each in held):
            return None
        return generations.text_of(generations.opened(held, self._token))

    def _opened(self, held: Sequence[Generation]) -> Sequence[Generation]:
        """Raises UserError where a token is needed, and is not there or refuses."""
        try:
            return generations.opened(held, self._token)
        except OSError as refused:
            raise UserError(
                f"{self.file} is not opened: {refused.strerror}",
                hint="set pkcs11_module, pkcs11_token, pkcs11_key and pkcs11_pin_file to the token and key it was "
                "wrapped by (docs/operations/lost-keys.md)",
            ) from refused

    def _fault(self, content: bytes) -> str | None:
        """Why the first record does not open; None where any does: one that is damaged says nothing of the key."""
        first = None
        for fault in (fault for each in self._sealed for fault in each.faults(content)):
            if fault is None:
                return None
            first = first or fault
        return first

    def _is_accepted(self, held: Sequence[Generation]) -> bool:
        """Whether it was made by a start that gave up what is stored, and has been rotated as often as that."""
        noted = self._accepted.read_text(errors="replace").split() if self._accepted.exists() else []
        return any(_fingerprint(each) in noted for each in held) and held[0].number >= self._newest_generation()

    def _newest_generation(self) -> int:
        found = (number for each in self._sealed for number in each.generations())
        return max((number for number in found if number < _MOST_ROTATIONS), default=0)

    def _give_up(self, now: datetime) -> None:
        """Noted first: who is killed in between has no key yet, and comes here again."""
        made = generations.new(max(self._newest_generation(), 0) + 1, now, self.wrapping)
        noted = self._accepted.read_text(errors="replace") if self._accepted.exists() else ""
        write_private(self._accepted, f"{noted}{_fingerprint(made)}\n".encode())
        generations.write(self.file, [made])
        log.warning("root key given up", because=f"{self._consent} asked for it", generation=made.number)

    def _refusal(self, message: str) -> UserError:
        before = self.file.parent.parent / f"{self.file.name}.before"
        moved = f"mv {self.file} {before}; " if self.file.exists() else ""
        return UserError(
            message,
            hint=f"put a backup of it in its place, one of after the last `aerekos keys rotate`; to lose what those "
            f"keys encrypted (docs/operations/lost-keys.md): {moved}touch {self._consent}; and start again",
        )


def keep_root_key(
    settings: Settings, registry: Registry, services: Sequence[ManagedService], now: datetime
) -> RootKeyFile:
    """Make the root key at the first start; later see that it is the one. Raises UserError, OSError."""
    kinds = [each for service in services for each in service.root_sealed]
    sealed = [SealedRecords(each, registry.store.list(each.kind.group, each.kind.plural).records) for each in kinds]
    token = token_key_of(settings)
    if token is not None:
        _prepare(token)
    kept = RootKeyFile(settings.home / "secrets" / "root-key", sealed, token, wrap=settings.root_key == "pkcs11")
    kept.open(now)
    return kept


def _prepare(token: TokenKey) -> None:
    """Raises UserError with the token's words."""
    try:
        token.prepare()
    except OSError as refused:
        hint = "see that token, PIN file and library are those of the settings pkcs11_...: softhsm2-util --show-slots"
        raise UserError(f"the root key's token is not usable: {refused.strerror}", hint=hint) from refused


def _fingerprint(generation: Generation) -> str:
    return sha256(b"aerekos root key\x00" + generation.key).hexdigest()[:32]
