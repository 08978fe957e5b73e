"""A new audience over everybody: what a question takes when the log stands still, has moved, or was never asked about.

The workspace is filled where the fold would write, since to fold ten million events takes longer than to ask: each
person has a user id and a device, a fifth of the events are of the device alone. What moves the log is folded.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import duckdb
import msgspec

from bench.figure import Figure
from tillit.clock import DAY, rfc3339
from tillit.flow import Fold
from tillit.flow.fold import prepare
from tillit.flow.history import History
from tillit.language.reading import read_condition
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow, message_hash
from tillit.store import Log, SqliteState
from tillit.store.lake import Lake

_NOW = 1_790_000_000_000_000
_ROWS_PER_FILE = 500_000
_NAMES = (
    "Product Viewed", "Order Completed", "Cart Updated", "Login", "Search", "Newsletter Opened", "Signup", "Page Left",
    "Video Played", "Coupon Used",
)  # fmt: skip

_ORDERS = f"type = 'track' AND name = 'Order Completed' AND event_at <= {_NOW}"
_TOTAL = "CAST(json_extract(properties, '$.total') AS DOUBLE)"
_LAPSING = (
    f"SELECT person FROM told WHERE {_ORDERS} AND event_at > {_NOW - 90 * DAY} GROUP BY person "
    f"HAVING count(*) FILTER (WHERE {_TOTAL} > 50) >= 2 AND max(event_at) <= {_NOW - 30 * DAY}"
)
_COUNT = (
    f"SELECT person FROM told WHERE {_ORDERS} AND event_at > {_NOW - 90 * DAY} GROUP BY person HAVING count(*) >= 2"
)
_SEQUENCE = (
    "SELECT DISTINCT a.person FROM told AS a JOIN told AS b ON a.person = b.person "
    f"AND b.event_at > a.event_at AND b.event_at - a.event_at <= {7 * DAY} "
    f"WHERE a.type = 'track' AND a.name = 'Product Viewed' AND a.event_at > {_NOW - 90 * DAY} "
    f"AND a.event_at <= {_NOW} AND b.type = 'track' AND b.name = 'Order Completed' "
    f"AND b.event_at > {_NOW - 90 * DAY} AND b.event_at <= {_NOW}"
)
_FAVOURITE = (
    "SELECT person FROM (SELECT person, json_extract_string(properties, '$.brand') AS brand, count(*) AS n, "
    f"max(event_at) AS last FROM told WHERE {_ORDERS} GROUP BY ALL) GROUP BY person "
    "HAVING arg_max(brand, ROW(n, last)) = 'b7'"
)
# Each with the same in DuckDB's SQL, as somebody would write it who knows the tables: `told` has a person a row.
QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "lapsing": (
        {
            "all": [
                {
                    "event": "Order Completed", "where": {"total": {"greater": 50}}, "within": "90d",
                    "count": {"at_least": 2},
                },
                {"not": {"event": "Order Completed", "within": "30d"}},
            ]
        },
        _LAPSING,
    ),
    "count": (
        {"event": "Order Completed", "within": "90d", "count": {"at_least": 2}},
        _COUNT,
    ),
    "sum of all time": (
        {"event": "Order Completed", "sum": {"of": "total", "greater": 100}},
        f"SELECT person FROM told WHERE {_ORDERS} GROUP BY person HAVING sum({_TOTAL}) > 100",
    ),
    "sequence": (
        {"sequence": {"steps": [{"event": "Product Viewed"}, {"event": "Order Completed", "within": "7d"}],
                      "within": "90d"}},
        _SEQUENCE,
    ),
    "favourite": (
        {"event": "Order Completed", "most_frequent": {"of": "brand", "equals": "b7"}},
        _FAVOURITE,
    ),
    "trait": ({"trait": "plan", "equals": "pro"}, ""),
}  # fmt: skip


def fill(folder: Path, n_people: int, n_events: int) -> None:
    """Write the state, the log's head and the lake of a shop that has so many people and events."""
    with closing(duckdb.connect()) as engine:
        names = ", ".join(f"'{name}'" for name in _NAMES)
        engine.execute(
            "CREATE TABLE told AS SELECT i AS position, (hash(i) % ? + 1) * 64 AS person, "
            "(hash(i) % ? + 1) * 64 + CAST(hash(i * 11) % 5 = 0 AS INT) AS anchor_id, "
            f"? - CAST(hash(i * 7) % {365 * DAY} AS BIGINT) AS event_at, "
            f"[{names}][CAST(hash(i * 13) % 10 AS INT) + 1] AS name, "
            """'{"total":' || (hash(i * 3) % 10000) / 100.0 || ',"currency":"EUR","brand":"b' || """
            """(hash(i * 5) % 50) || """
            """'","order_id":"o' || i || '","items":[{"sku":"s' || (hash(i * 17) % 999) || '","price":' || """
            """(hash(i * 19) % 100) || '}],"page":{"url":"https://shop.example/p/' || i || '"}}' AS properties """
            "FROM range(1, ?) AS r(i)",
            [n_people, n_people, _NOW, n_events + 1],
        )
        _fill_lake(folder, engine, n_events)
        _fill_state(folder, engine, n_people, n_events)
    Log.open(folder / "log.db").close()
    with closing(apsw.Connection(str(folder / "log.db"))) as made:
        made.execute(
            "UPDATE log_head SET position = ?, logged_at = ?, first_position = ?", (n_events, _NOW, n_events + 1)
        )


def _fill_lake(folder: Path, engine: duckdb.DuckDBPyConnection, n_events: int) -> None:
    from arro3.core import RecordBatchReader
    from deltalake import write_deltalake

    from tillit.store.lake import table
    from tillit.store.lake.rewrite import no_hooks

    lake = Lake.open(folder / "lake" / "events", sync=False)
    assert lake._writer is not None
    for start in range(0, n_events, _ROWS_PER_FILE):
        through = min(start + _ROWS_PER_FILE, n_events)
        rows = engine.sql(
            "SELECT position, 1::BIGINT AS epoch, event_at AS logged_at, event_at AS received_at, event_at, "
            "2::BIGINT AS trust, NULL::BLOB AS message_hash, 'track' AS type, name, 'web' AS source, "
            "'m' || position AS message_id, 'u' || person // 64 AS user_id, NULL::VARCHAR AS anonymous_id, properties, "
            "NULL::VARCHAR AS traits, '{\"properties\":' || properties || '}' AS body FROM told "
            f"WHERE position > {start} AND position <= {through} ORDER BY position"
        )
        write_deltalake(
            lake._writer,
            RecordBatchReader.from_arrow(rows),
            mode="append",
            writer_properties=table._writer_properties(),
            commit_properties=table._commit_properties(through),
            post_commithook_properties=no_hooks(),
        )
    lake.close()


def _fill_state(folder: Path, engine: duckdb.DuckDBPyConnection, n_people: int, n_events: int) -> None:
    with closing(SqliteState(folder / "state.db")) as state:
        prepare(state)
    people = range(64, 64 * n_people + 1, 64)

    def identifiers() -> Iterator[tuple[object, ...]]:
        for i in people:
            yield i, "user_id", f"u{i // 64}", 1, i
            yield i + 1, "anonymous_id", f"d{i // 64}", 2_000, i + 1

    def strands() -> Iterator[tuple[object, ...]]:
        for i in people:
            email = [2, _NOW, i, "web", f"u{i}@example.org"]
            plan = [2, _NOW, i, "web", "pro" if i // 64 % 3 else "free"]
            counts = {"Product Viewed": 3, "Order Completed": 2}
            yield (
                i,
                0,
                msgspec.msgpack.encode(
                    [
                        10,
                        1,
                        2,
                        counts,
                        {"track": 10},
                        {"plan": plan, "email": email},
                        {},
                        30,
                        {"web": {24321: 5}},
                        0,
                        {},
                    ]
                ),
            )

    with closing(apsw.Connection(str(folder / "state.db"))) as made:
        made.execute("PRAGMA synchronous = off; BEGIN")
        columns = "identifier_id, namespace, value, rank, root_id, known, since, birth"
        made.executemany(f"INSERT INTO identifier ({columns}) VALUES (?, ?, ?, ?, ?, 1, 0, 0)", identifiers())
        made.executemany("INSERT INTO tenure VALUES (?, ?, ?, ?)", ((i + 1, _NOW - 200 * DAY, 1, i) for i in people))
        made.executemany("INSERT INTO strand VALUES (?, ?, ?)", strands())
        places = engine.execute("SELECT anchor_id, event_at, position FROM told ORDER BY ALL")
        while rows := places.fetchmany(200_000):
            made.executemany("INSERT INTO event_index VALUES (?, ?, ?)", rows)
        made.execute("UPDATE fold SET position = ?", (n_events,))
        made.execute("COMMIT")


def move(log: Log, state: SqliteState, *, number: int, n_events: int = 1_000, n_people: int) -> None:
    """Let events come and fold them: a fiftieth join two people, a fiftieth are late, some are of others' devices."""
    rows = []
    for i in range(n_events):
        who = (number * n_events + i) * 7 % (n_people // 2)
        told: dict[str, Any] = {"type": "track", "event": "Order Completed", "properties": {"total": 60}}
        told |= {"messageId": f"n{number}-{i}", "userId": f"u{who + 1}"}
        if i % 50 == 1:
            told = {
                "type": "alias",
                "userId": f"u{who + 1}",
                "previousId": f"u{who + n_people // 2}",
                "messageId": told["messageId"],
            }
        elif i % 50 == 2:
            told["anonymousId"] = f"d{who + 2}"
        at = _NOW - (40 * DAY if i % 50 == 3 else 1)
        told["timestamp"] = told["receivedAt"] = rfc3339(at)
        hashed = message_hash("web", told["messageId"])
        rows.append(NewRow(KIND_EVENT, "web", TRUST_SERVER, _NOW, at, hashed, json.dumps(told).encode()))
    log.append(rows, now=_NOW)
    fold = Fold(state, lambda _: {})
    fold.apply(log.read(fold.position, n_events))


def new_audience(folder: Path, *, n_people: int = 1_000_000, n_events: int = 10_000_000) -> list[Figure]:
    """Say how long a new audience takes: warm, just after the log moved, by hand, and the first ever asked about."""
    fill(folder, n_people, n_events)
    with (
        closing(SqliteState(folder / "state.db")) as state,
        closing(Log.open(folder / "log.db")) as log,
        Lake.open(folder / "lake" / "events", read_only=True) as lake,
    ):
        asked = SqliteState(folder / "state.db", read_only=True)
        history = History(log, asked, lambda: lake, folder / "history")
        _, first, cpu = _timed(lambda: history.count(read_condition("everybody"), _NOW))
        size = f"{n_people:,} profiles, {n_events:,} events"
        note = f"{size}; {cpu:.1f} s of CPU"
        figures = [Figure("first question ever about everybody", first, "s", 5, False, note=note)]
        figures += [_asked(history, name, folder, lake) for name in QUESTIONS]
        for number, (definition, _) in enumerate(QUESTIONS.values(), 1):
            move(log, state, number=number, n_people=n_people)
            _, moved, cpu = _timed(partial(history.members, read_condition(definition), _NOW))
            told = f"{figures[number].note}; after 1,000 more events {moved:.2f} s, {cpu:.1f} s of CPU"
            figures[number] = figures[number]._replace(note=told)
        history.close()
        asked.close()
        return figures


def _asked(history: History, name: str, folder: Path, lake: Lake) -> Figure:
    """Ask a question, and the same of the same files by hand; whose event each is is given, as a table."""
    definition, sql = QUESTIONS[name]
    ask = partial(history.members, read_condition(definition), _NOW)
    _, first, _ = _timed(ask)
    members, warm, cpu = _timed(ask)
    note = f"{len(members):,} members; asked first {first:.2f} s; {cpu:.1f} s of CPU"
    figure = Figure(f"a new audience over everybody: {name}", warm, "s", 5, False, note=note)
    if not sql:
        return figure
    owners = next((folder / "history").glob("history-*-owners.parquet"))
    with closing(duckdb.connect()) as engine:
        engine.execute("SET memory_limit = '2GB'")
        files = [str(file) for file in lake.files()]
        engine.execute(
            "CREATE VIEW told AS SELECT o.person, e.* FROM "
            f"read_parquet({files!r}) AS e JOIN read_parquet('{owners}') AS o ON o.position = e.position"
        )
        rows, _, _ = _timed(lambda: engine.execute(sql).fetchall())
        _, by_hand, cpu = _timed(lambda: engine.execute(sql).fetchall())
    n_other = len({person for (person,) in rows}.symmetric_difference(members))
    note += f", by hand {cpu:.1f} s" + (f"; NOT the same answer: {n_other:,} people" if n_other else "")
    return figure._replace(baseline="DuckDB's SQL by hand", baseline_value=by_hand, note=note)


def _timed(ask: Callable[[], Any]) -> tuple[Any, float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    found = ask()
    return found, time.perf_counter() - began, time.process_time() - cpu
