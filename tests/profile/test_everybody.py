"""What everybody's strands say of a trait is what each says when it is unpacked whole, on both engines of state.

In:    strands of which some say nothing, some carry consent, and all kinds of names and values.
Out:   nothing: a difference fails.
Never: a time limit.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.engines import Engine
from tillit.flow.fold import prepare
from tillit.profile import iter_told

NAMES = ("plan", 'a"b\\c\n', "", "größe", "nobody says it")
VALUES: tuple[Any, ...] = (
    "pro", None, True, 1, 1.0, -0.0, 1e300, 2**64 - 1, -(2**63), "", "two\nlines\r\u2028\x85\0", [1, "a", None],
    {"a": {"b": [1.5]}, "": 0},
)  # fmt: skip


def document(place: int) -> list[Any]:
    """Make up a strand of which the traits, their values and what was carried depend on its place."""
    whole = part(place)
    whole[10] = {f"-{n}": part(place + n) for n in range(1, place % 3)}
    return whole


def part(place: int) -> list[Any]:
    # Places are those of `tillit.profile.strands`; maps have keys of the kinds that are folded.
    traits = {
        name: [1 + place % 3, 1_790_000_000_000_000 - place, place, "web", VALUES[(place + n) % len(VALUES)]]
        for n, name in enumerate(NAMES[:-1])
        if (place + n) % 4
    }
    seen = {64 * place: [place, 1, 2]}
    at = place or None
    return [place, at, at, {"Seen": 2**40}, {"track": 1}, traits, seen, 30, {"web": {24_321: 5}}, 0, {}]


def said_whole(place: int, key: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
    whole = document(place)
    for carried, one in [("", whole), *whole[10].items()]:
        for name, (trust, at, position, _, value) in one[5].items():
            yield (*key, carried, name, 2 * trust, at, position, msgspec.json.encode(value).decode())


def rows_of(blocks: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(row for columns in blocks for row in zip(*columns, strict=True))


@pytest.mark.parametrize(
    ("n_rows", "n_bytes", "n_given"), [(1, 1, 1), (3, 1 << 22, 1), (8, 900, 2_000), (20, 1 << 22, 1), (1_000, 1, 10**6)]
)
def test_each_strand_is_heard_once_in_blocks_of_any_size(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, n_rows: int, n_bytes: int, n_given: int
) -> None:
    for name, size in (("_ROWS", n_rows), ("_BYTES", n_bytes), ("_GIVEN", n_given)):
        monkeypatch.setattr(f"tillit.profile.everybody.{name}", size)
    state = engine.open()
    prepare(state)
    assert rows_of(iter_told(state, state.dialect, NAMES)) == []

    # Forty are a whole number of most blocks; a device has several parts, of times before 1970 too.
    keys = [(64 * (place // 3), -(1 << 61) if place % 3 == 0 else place) for place in range(40)]
    with state.transaction() as tx:
        tx.executemany(
            "INSERT INTO strand (identifier_id, part, document) VALUES (?, ?, ?)",
            [(*key, msgspec.msgpack.encode(document(place))) for place, key in enumerate(keys)],
        )
    said = sorted(row for place, key in enumerate(keys) for row in said_whole(place, key))

    assert rows_of(iter_told(state, state.dialect, NAMES)) == said
    assert rows_of(iter_told(state, state.dialect, NAMES[:1])) == [row for row in said if row[3] == NAMES[0]]
    assert rows_of(iter_told(state, state.dialect, NAMES[-1:])) == []
    some = [64, 128, 640, 7]
    assert rows_of(iter_told(state, state.dialect, NAMES, some)) == [row for row in said if row[0] in some]
