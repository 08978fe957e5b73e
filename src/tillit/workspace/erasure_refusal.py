"""Refusing who was erased: what says of a row that it may not come back.

In:    rows at the door, or of a log that was restored; tombstones.
Out:   the body that takes a row's place at the door; the places of rows that are to be forgotten.
Never: an identifier kept in plain to know whom to refuse.
"""

import threading
from collections.abc import Iterable, Sequence

from tillit.collect.door import Refuses
from tillit.flow import is_husk
from tillit.identity import DEFAULT_RULES, Rules, list_claims, read_event, read_rules
from tillit.privacy.erasure import Judged, Said, Tombstones
from tillit.records import KIND_EVENT, REFUSED_BODY, LogRow, NewRow
from tillit.workspace.erasure_target import UNREADABLE_EVENT, decode_body


class Refusal:
    """Says of rows whether they are of somebody who was erased."""

    def __init__(self, tombstones: Tombstones) -> None:
        """Know the tombstones."""
        self._tombstones = tombstones
        self._opening = threading.Lock()

    def door(self) -> Refuses | None:
        """Give what refuses events of people who were erased; None while there are none. Asked once a request."""
        if not self._tombstones.refresh():
            return None
        rules = self.rules()

        def refuses(row: NewRow) -> bytes | None:
            judged = self._judge(row, rules)
            if judged.opens:
                with self._opening:
                    self._tombstones.open(judged.opens, at=row.event_at)
                    self._tombstones.refresh()
            return REFUSED_BODY if judged.is_refused else None

        return refuses

    def rules(self) -> list[Rules]:
        """Give the rules under which anybody was erased, and those in force."""
        told = [read_rules(text) if text else DEFAULT_RULES for text in self._tombstones.rules]
        return told or [DEFAULT_RULES]

    def places(self, rows: Iterable[LogRow]) -> list[int]:
        """Give the places of those rows of the log that would be refused."""
        self._tombstones.refresh()
        rules = self.rules()
        found = []
        for row in rows:
            if row.kind != KIND_EVENT or is_husk(row):
                continue
            if self._judge(_as_new(row), rules).is_refused:
                found.append(row.position)
        return found

    def is_refused(self, raw: bytes, rules: Sequence[Rules]) -> bool:
        """Say whether bytes that were put aside would be refused."""
        return self._judge(NewRow(KIND_EVENT, "", 1, 0, 0, bytes(16), raw), rules).is_refused

    def _judge(self, row: NewRow, rules: Sequence[Rules]) -> Judged:
        try:
            event = read_event(row.body)
            body = decode_body(row.body)
        except UNREADABLE_EVENT:
            return Judged(is_refused=False)  # it names nobody that could be read; the fold puts it aside
        keys, proven = list_claims(event, rules)
        return self._tombstones.judge(
            Said(keys, proven, row.message_hash, row.received_at, row.event_at, body.has_own_time, row.trust)
        )


def _as_new(row: LogRow) -> NewRow:
    head = (row.kind, row.source, row.trust, row.received_at, row.event_at, row.message_hash)
    return NewRow(*head, row.body or b"")
