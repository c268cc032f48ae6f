"""Passwords: only the right one fits, hashes differ each time, damaged ones fit nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.auth.passwords import hash_password, one_time_password, password_fits


def test_only_the_right_password_fits() -> None:
    kept = hash_password("correct horse")
    assert password_fits("correct horse", kept)
    assert not password_fits("correct horse ", kept)
    assert not password_fits("", kept)


def test_the_same_password_is_never_kept_the_same_way() -> None:
    assert hash_password("a") != hash_password("a")
    assert "secret-word" not in hash_password("secret-word")


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "plain",
        "scrypt$$$$$",
        "scrypt$16384$8$1$AA==$",
        "bcrypt$16384$8$1$AA==$AA==",
        "scrypt$3$8$1$AAAA$AAAA",  # N must be a power of two
        "scrypt$1073741824$8$1$AAAA$AAAA",  # more memory than allowed
        "scrypt$16384$8$1$é$AAAA",
    ],
)
def test_a_hash_that_makes_no_sense_fits_nothing(kept: str) -> None:
    assert not password_fits("", kept)
    assert not password_fits("a", kept)


@given(st.text(max_size=200))
@settings(max_examples=20)
def test_any_text_can_be_a_password(text: str) -> None:
    assert password_fits(text, hash_password(text))


def test_one_time_passwords_are_long_and_different() -> None:
    made = {one_time_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(each) == 23 and each.count("-") == 3 for each in made)
