"""A real PostgreSQL for tests of the store: one server for a test process, a database for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
import pytest

from services.db_manager.tests.postgres_server import SUPERUSER, PostgresServer, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    with a_database(postgres) as url:
        yield url


def url_of(server: PostgresServer, database: str) -> str:
    return f"postgresql://postgres:{quote(SUPERUSER, safe='')}@127.0.0.1:{server.endpoint.port}/{database}"


@contextmanager
def a_database(server: PostgresServer) -> Iterator[str]:
    """The URL of an empty one, which goes again."""
    name = f"store{next(_numbers)}"
    with psycopg.connect(url_of(server, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield url_of(server, name)
    with psycopg.connect(url_of(server, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
