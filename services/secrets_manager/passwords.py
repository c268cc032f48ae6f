"""Random passwords. Pure but for the machine's randomness.

Source: AWS Secrets Manager API reference, GetRandomPassword.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence

PUNCTUATION = string.punctuation
LENGTH = 32
_SHUFFLE = secrets.SystemRandom()


class PasswordFault(ValueError):
    """No such password can be made."""


def random_password(
    length: int = LENGTH, classes: Sequence[str] = (), exclude: str = "", *, each_class: bool = True
) -> str:
    """A password of these classes of characters, each of which is in it if `each_class`. Raises PasswordFault."""
    left = ["".join(sign for sign in signs if sign not in exclude) for signs in classes]
    left = [signs for signs in left if signs]
    if not left:
        raise PasswordFault("No characters are left to make a password of.")
    if each_class and length < len(left):
        raise PasswordFault("Password length is too short based on the required types.")
    signs = [secrets.choice(each) for each in left] if each_class else []
    pool = "".join(left)
    signs += [secrets.choice(pool) for _ in range(length - len(signs))]
    _SHUFFLE.shuffle(signs)
    return "".join(signs)


def classes_of(
    *,
    lowercase: bool = True,
    uppercase: bool = True,
    numbers: bool = True,
    punctuation: bool = True,
    space: bool = False,
) -> list[str]:
    """The characters of each class that is wanted."""
    every = (
        (lowercase, string.ascii_lowercase),
        (uppercase, string.ascii_uppercase),
        (numbers, string.digits),
        (punctuation, PUNCTUATION),
        (space, " "),
    )
    return [signs for wanted, signs in every if wanted]
