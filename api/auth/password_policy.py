"""The password policy: long ones that are no common word, no pattern and not the user's own name.

Source: NIST SP 800-63B, 5.1.1.2: length and a list of what attackers try first, instead of classes of characters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from crds.errors import Invalid

LEAST_CHARACTERS, MOST_CHARACTERS = 12, 1024
# The commonest stems of what leaked; they are refused with whatever digits and signs stand around them, doubled, and
# with digits for letters. Longer ones are found as they are.
_WORDS = """
password passwort passwd pass admin administrator root user guest login master welcome letmein qwerty qwertz
qwertyuiop qwertzuiop azerty asdf asdfgh asdfghjkl zxcvbnm abc abcdef abcdefgh iloveyou loveyou monkey dragon
sunshine princess football baseball superman batman shadow michael jordan trustno secret changeme default test
testing hello whatever freedom starwars summer winter spring autumn computer internet server cloud aerekos
kubernetes docker swarm amazon google microsoft apple samsung pokemon killer hunter buster soccer hockey ginger
pepper cookie charlie thomas robert daniel jennifer jessica ashley nicole andrew joshua letmeinnow
correcthorsebatterystaple mypassword yourpassword newpassword thepassword adminpassword rootpassword
passwordadmin adminadmin rootroot temporary initial startup company business office
"""
_STEMS = frozenset(_WORDS.split())
_LOOKALIKES = str.maketrans("01345789@$!", "oleastbgasi")
_ROWS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


def check_password(password: str, name: str) -> None:
    """Raises Invalid that says what is wrong with it; the password itself is never repeated."""
    if why := fault(password, name):
        raise Invalid(f"the password is not taken: {why}")


def fault(password: str, name: str) -> str:
    """The reason why that password is no good for that user; empty when it is."""
    if len(password) < LEAST_CHARACTERS:
        return f"it is shorter than {LEAST_CHARACTERS} characters"
    if len(password) > MOST_CHARACTERS:
        return f"it is longer than {MOST_CHARACTERS} characters"
    lowered = password.casefold()
    if _repeats(lowered):
        return "it repeats the same few characters"
    if any(_runs(lowered, row) for row in _ROWS):
        return "it follows the alphabet, the digits or the keyboard"
    if any(stem in _STEMS for stem in _stems(lowered)):
        return "it is one of the commonest, or little more than a common word"
    if name and name.casefold() in _stems(lowered):
        return "it is the user's name"
    return ""


def _core(text: str) -> str:
    """Without what is no letter at its ends."""
    return text.strip("".join(set(text) - _LETTERS))


def _stems(lowered: str) -> Iterator[str]:
    """What is left of it without digits and signs around it, with lookalikes read as letters, and halved."""
    for text in (lowered, lowered.translate(_LOOKALIKES), _core(lowered).translate(_LOOKALIKES)):
        core = _core(text)
        letters = "".join(filter(_LETTERS.__contains__, text))
        for each in (core, letters):
            half = len(each) // 2
            yield each
            if each[:half] * 2 == each:
                yield each[:half]


def _repeats(lowered: str) -> bool:
    if len(set(lowered)) < 5:
        return True
    return any((lowered[:size] * len(lowered))[: len(lowered)] == lowered for size in range(1, 5))


def _runs(lowered: str, row: str) -> bool:
    """Whether nearly all of it goes along that row, in one direction."""
    letters = [each for each in lowered if each.isalnum()]
    for line in (row, row[::-1]):
        ring = line + line[:1]
        steps = sum(a + b in ring for a, b in itertools.pairwise(letters))
        if steps >= max(len(letters) - 3, 1):
            return True
    return False
