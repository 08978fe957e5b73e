"""What the door turned away: to see, to try again, to let go.

In:    the log file's tables; the door, for another try.
Out:   quarantined events with their reasons; rows for the log when a second try succeeds.
Never: bytes kept beyond their time; a second append of what was replayed before.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tillit.collect.checks import Flaw, Reading, read_event
from tillit.collect.door import Refuses, Taken, take
from tillit.collect.limits import Limits
from tillit.errors import InputError
from tillit.store import State


class MendedOtherId(InputError):
    """A mended event names another messageId than the one it replaces."""

    code = "collect.mended-other-id"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("A mended event keeps its messageId: put the original's back, so that it counts once.")


class AlreadyReplayed(InputError):
    """A quarantined event is in the log since an earlier replay."""

    code = "collect.already-replayed"

    def __init__(self, quarantine_id: int) -> None:
        """Name it by its number."""
        super().__init__(f"Number {quarantine_id} was replayed before and is in the log.", quarantine_id=quarantine_id)


class Quarantined(NamedTuple):
    """One event that was not taken. Grain: one per quarantine_id."""

    quarantine_id: int
    received_at: int  # UTC epoch microseconds
    source: str
    trust: int
    code: str
    reason: str
    message_id: str | None
    raw: bytes
    replayed_position: int | None  # where in the log it stands since its replay


_TELLING = (
    ("event_not_defined", "track"),
    ("event_not_string", "track"),
    ("event", "track"),
    ("groupId", "group"),
    ("previousId", "alias"),
    ("traits", "identify"),
)
_COLUMNS = "quarantine_id, received_at, source, trust, code, reason, message_id, raw, replayed_position"


def list_quarantined(
    state: State,
    *,
    limit: int = 100,
    before: int | None = None,
    code: str | None = None,
    source: str | None = None,
    only_waiting: bool = False,
) -> list[Quarantined]:
    """Give quarantined events, newest first; `before` is the last quarantine_id of the page before."""
    wanted: list[str] = []
    values: list[object] = []
    for clause, value in (("quarantine_id < ?", before), ("code = ?", code), ("source = ?", source)):
        if value is not None:
            wanted.append(clause)
            values.append(value)
    if only_waiting:
        wanted.append("replayed_position IS NULL")
    where = " WHERE " + " AND ".join(wanted) if wanted else ""
    rows = state.read(f"SELECT {_COLUMNS} FROM quarantine{where} ORDER BY quarantine_id DESC LIMIT ?", (*values, limit))
    return [_quarantined(row) for row in rows]


def find_quarantined(state: State, quarantine_id: int) -> Quarantined | None:
    """Give one quarantined event, or None."""
    rows = state.read(f"SELECT {_COLUMNS} FROM quarantine WHERE quarantine_id = ?", (quarantine_id,))
    return _quarantined(rows[0]) if rows else None


def count_by_code(state: State) -> dict[str, int]:
    """Say how many events wait under each reason."""
    rows = state.read(
        "SELECT code, COUNT(*) FROM quarantine WHERE replayed_position IS NULL GROUP BY code ORDER BY code"
    )
    return {str(code): int(n) for code, n in rows}


def list_groups(state: State) -> list[tuple[str, str, int, int]]:
    """Give (code, source, how many wait, when the newest came) of what waits."""
    rows = state.read(
        "SELECT code, source, COUNT(*), MAX(received_at) FROM quarantine WHERE replayed_position IS NULL "
        "GROUP BY code, source ORDER BY code, source"
    )
    return [(str(code), str(source), int(n), int(newest)) for code, source, n, newest in rows]


def count_since(state: State, at: int) -> int:
    """Say how many were turned away since an instant (UTC epoch microseconds)."""
    return int(state.read("SELECT COUNT(*) FROM quarantine WHERE received_at >= ?", (at,))[0][0])


def list_waiting(
    state: State, *, limit: int, before: int | None = None, code: str | None = None, source: str | None = None
) -> list[Quarantined]:
    """Give events that were never replayed, newest first; `before` is the last quarantine_id of the page before."""
    return list_quarantined(state, limit=limit, before=before, code=code, source=source, only_waiting=True)


def retry(kept: Quarantined, *, limits: Limits, mended: bytes | None = None, refuses: Refuses | None = None) -> Taken:
    """Judge a quarantined event anew, as it came or mended; it keeps its source, trust and time of arrival.

    Append the rows to the log, then note their position with `note_replayed`. A crash between the two is harmless:
    the message id makes the second append a duplicate. An event without one gets an id that its row number fixes.
    """
    raw = kept.raw if mended is None else mended
    event = read_event(raw, limits)
    reading = Reading(raw, limits, {}, [event], is_batch=True, slices=[raw])
    if not isinstance(event, Flaw) and event.get("type") is None:
        # On the single routes the path said the type; the fault or the event's own fields may tell which path it was.
        told = [kind for field, kind in _TELLING if field == kept.code or field in event]
        if told:
            event["type"] = told[0]
    return take(
        reading,
        route_type=None,
        source=kept.source,
        trust=kept.trust,
        received_at=kept.received_at,
        limits=limits,
        new_id=lambda: f"quarantine-{kept.source}-{kept.quarantine_id}"[:100],
        refuses=refuses,
    )


def retry_mended(kept: Quarantined, mended: bytes, *, limits: Limits, refuses: Refuses | None = None) -> Taken:
    """Judge what somebody wrote in the place of a quarantined event; its bytes stay as they came.

    Raises: AlreadyReplayed; MendedOtherId.
    """
    if kept.replayed_position is not None:
        raise AlreadyReplayed(kept.quarantine_id)
    event = read_event(mended, limits)
    if kept.message_id and not isinstance(event, Flaw) and str(event.get("messageId")) != kept.message_id:
        raise MendedOtherId
    return retry(kept, limits=limits, mended=mended, refuses=refuses)


def note_replayed(state: State, placed: Sequence[tuple[int, int]]) -> None:
    """Note of replayed events, as (quarantine_id, position), where in the log they stand."""
    with state.transaction() as tx:
        tx.executemany(
            "UPDATE quarantine SET replayed_position = ? WHERE quarantine_id = ?",
            [(position, quarantine_id) for quarantine_id, position in placed],
        )


def expire(state: State, *, before: int) -> int:
    """Let go of what arrived before an instant; say how many.

    Units: UTC epoch microseconds.
    """
    with state.transaction() as tx:
        gone = tx.read("SELECT COUNT(*) FROM quarantine WHERE received_at < ?", (before,))
        tx.execute("DELETE FROM quarantine WHERE received_at < ?", (before,))
    return int(gone[0][0])


def _quarantined(row: Sequence[object]) -> Quarantined:
    values = list(row)
    values[7] = bytes(values[7])  # type: ignore[call-overload]
    return Quarantined._make(values)
