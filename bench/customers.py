"""Search and the customer page: how long a colleague waits."""

import time
from collections.abc import Iterator
from itertools import islice
from random import Random

import apsw
import msgspec

from bench.figure import Figure, percentile
from bench.pages import Browser
from bench.served import Served
from tillit.identity import profile_id
from tillit.records import KIND_EVENT, TRUST_SERVER, NewRow
from tillit.workspace import Workspace, find_people

_NOW = 1_795_000_000_000_000
_FIRST = "Ana Bo Cem Dilan Eva Finn Greta Hugo Ida Jonas Karin Leo Maja Nils Olga Per Rosa Sven Tove Ulf".split()
_LAST = "berg ström ek lund holm qvist gren dal ny fors sten vik ås mark hed sjö näs bo tun rot".split()


def _people(n: int) -> Iterator[NewRow]:
    chance = Random(5)
    for i in range(1, n + 1):
        first = chance.choice(_FIRST)
        name = f"{first} {chance.choice(_LAST)}{chance.choice(_LAST)}{chance.choice(_LAST)}"
        traits = {"name": name.title(), "email": f"{first.lower()}.{i}@mail{i % 50}.example", "plan": "free"}
        if i % 4 == 0:
            traits["phone"] = f"+4670{i:07d}"
        body = msgspec.json.encode({"type": "identify", "userId": f"user-{i}", "messageId": "m", "traits": traits})
        at = _NOW + i * 1_000
        yield NewRow(KIND_EVENT, "till", TRUST_SERVER, at, at, i.to_bytes(16, "big"), body)


def many_people(n_people: int = 1_000_000) -> list[Figure]:
    """Search people by what colleagues type, beside a plain full-text index over the same values; ask for pages."""
    served = Served()
    plain = apsw.Connection(str(served.folder.parent / "plain.db"))
    plain.execute("CREATE VIRTUAL TABLE people USING fts5(words, prefix='2 3')")
    people = _people(n_people)
    with Workspace(served.folder) as ws:
        while rows := list(islice(people, 20_000)):
            ws.append_rows(rows)
            with plain:
                plain.executemany("INSERT INTO people VALUES (?)", [(_words(row),) for row in rows])
        ws.folding.rebuild()
        ws.folding.write_lake()  # or the server would do it while pages are asked for
        found = _search(ws, plain, n_people)
    plain.close()
    with served:
        browser = Browser(served)
        chance = Random(7)
        # A profile's id is made from where it was first seen: one event a person.
        paths = [f"/console/customers/{profile_id(chance.randrange(1, n_people) * 64)}" for _ in range(200)]
        took = [browser.ask(path)[0] for path in paths][1:]
    return [
        found,
        Figure(f"customer page among {n_people:,} profiles, p99", percentile(took, 0.99), "ms", 100, False),
    ]


def _search(ws: Workspace, plain: apsw.Connection, n_people: int) -> Figure:
    chance = Random(6)
    asked = [_question(chance, n_people) for _ in range(400)]
    leave = ws.profiles.leave(ws.state, ws.scope("service"))
    ours, theirs = [], []
    for text in asked:
        began = time.perf_counter()
        find_people(ws.state, text, leave, limit=25)
        ours.append((time.perf_counter() - began) * 1000)
        match = " ".join(f'"{word}"*' for word in text.split())
        began = time.perf_counter()
        plain.execute("SELECT rowid FROM people WHERE people MATCH ? LIMIT 25", (match,)).fetchall()
        theirs.append((time.perf_counter() - began) * 1000)
    return Figure(
        f"search among {n_people:,} profiles, p99",
        percentile(ours, 0.99),
        "ms",
        50,
        False,
        "SQLite FTS5 over the same values, ids only",
        percentile(theirs, 0.99),
        f"median {percentile(ours, 0.5):.1f} ms; slowest {max(ours):.0f} ms",
    )


def _words(row: NewRow) -> str:
    told = msgspec.json.decode(row.body)
    return " ".join([told["userId"], *map(str, told["traits"].values())])


def _question(chance: Random, n_people: int) -> str:
    i = chance.randrange(1, n_people)
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return chance.choice(
        [
            f"user-{i}",
            f"{first} {last}",
            first,
            last[:2],
            f"{i}@mail",
            f"{first.lower()}.{i}",
            f"070 {i:07d}",
            f"{first} mail{i % 50}",
        ]
    )


def customer_page() -> list[Figure]:
    """Give the whole page of a usual customer, of one with 100,000 events and of one with very many traits."""
    served = Served()
    with Workspace(served.folder) as ws:
        _fill(ws)
        pages = {
            label: f"/console/customers/{ws.profiles.get(f'user_id:{who}')['id']}"
            for label, who in (("usual", "usual"), ("100,000 events", "busy"), ("10,000 traits", "many"))
        }
    with served:
        browser = Browser(served)
        return [
            Figure(
                f"customer page, {label}, p99",
                percentile([browser.ask(path)[0] for _ in range(40)][1:], 0.99),
                "ms",
                100,
                False,
            )
            for label, path in pages.items()
        ]


def _fill(ws: Workspace) -> None:
    ws.identify(user_id="usual", anonymous_id="d", traits={"name": "Ana", "email": "ana@example.org"})
    ws.append([{"type": "track", "userId": "usual", "event": f"E{n % 9}"} for n in range(60)])
    for start in range(0, 100_000, 5_000):
        ws.append(
            [
                {"type": "track", "userId": "busy", "event": f"E{n % 50}", "timestamp": _day(n)}
                for n in range(start, start + 5_000)
            ]
        )
    # One strand keeps 1,000 traits; ten of them make the 10,000.
    for group in range(10):
        ids = [{"type": f"card{group}", "id": "c"}]
        for start in (0, 400, 800):
            traits = {f"t{group}-{n}": n for n in range(start, start + 400)}
            ws.append([{"type": "identify", "anonymousId": "x", "context": {"externalIds": ids}, "traits": traits}])
        ws.append([{"type": "track", "userId": "many", "event": "E", "context": {"externalIds": ids}}])
    ws.flush()


def _day(n: int) -> str:
    return f"{2017 + n % 9}-{1 + n % 12:02d}-{1 + n % 28:02d}T10:00:00Z"
