"""Names to choose from while something is built: of events, pages, properties and traits that this workspace sees.

In:    the newest rows of the log.
Out:   names, the most frequent first.
Never: a value; a name that few people's events carry, for such a name may itself tell of somebody.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from tillit.clock import MINUTE
from tillit.records import KIND_EVENT, LogRow
from tillit.store import Log

_ROWS = 5_000  # a fraction of a second
_FEWEST = 3  # people who sent a name; taste
_MOST = 200
_LONGEST = 100
_EVERY = 5 * MINUTE
_WITHIN = 2  # how deep properties are looked at: shipping.country

_decode = msgspec.json.Decoder().decode


class Offered(NamedTuple):
    """What there is to choose from."""

    event: list[str]
    page: list[str]
    screen: list[str]
    property: list[str]
    trait: list[str]


class Names:
    """Names as the newest part of the log has them, looked at anew when they are old."""

    def __init__(self, log: Log, *, now: Callable[[], int]) -> None:
        """Know where to look."""
        self._log = log
        self._now = now
        self._lock = threading.Lock()
        self._found: Offered | None = None
        self._at = self._head = 0

    def offered(self) -> Offered:
        """Give names to choose from, at most some minutes old; of a log that grew by a tenth the newest."""
        with self._lock:
            head = self._log.head()
            is_old = self._now() - self._at >= _EVERY or head - self._head > self._head // 10
            if self._found is None or is_old:
                self._at, self._head = self._now(), head
                self._found = count_names(self._log.read(max(0, head - _ROWS), _ROWS))
            return self._found


def count_names(rows: Iterable[LogRow]) -> Offered:
    """Give the names that events of several people carry, by what they are names of."""
    senders: dict[tuple[str, str], set[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.kind != KIND_EVENT or not row.body:
            continue
        try:
            said = _decode(row.body)
        except msgspec.DecodeError:
            continue
        who = said.get("userId") or said.get("anonymousId") if isinstance(said, dict) else None
        if not isinstance(who, str):
            continue
        for key in set(_names_in(said)):
            if len(key[1]) <= _LONGEST:
                counts[key] = counts.get(key, 0) + 1
                senders.setdefault(key, set()).add(who)
    ranked = sorted((key for key in counts if len(senders[key]) >= _FEWEST), key=lambda key: (-counts[key], key))
    return Offered(*([name for kind, name in ranked if kind == wanted][:_MOST] for wanted in Offered._fields))


def _names_in(said: dict[str, Any]) -> Iterable[tuple[str, str]]:
    kind = said.get("type")
    name = said.get("event") if kind == "track" else said.get("name")
    if isinstance(name, str) and kind in ("track", "page", "screen"):
        yield ("event" if kind == "track" else kind), name
    if kind in ("track", "page", "screen"):
        yield from (("property", one) for one in _paths(said.get("properties"), "", 0))
    if kind == "identify":
        yield from (("trait", one) for one in _paths(said.get("traits"), "", 0))


def _paths(told: Any, above: str, depth: int) -> Iterable[str]:
    if not isinstance(told, dict) or depth >= _WITHIN:
        return
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{name}.", depth + 1)
        else:
            yield f"{above}{name}"
