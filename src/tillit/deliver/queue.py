"""Queue: what couriers work on: claims under a lease and a fence, attempts before the wire, outcomes after it.

In:    work taken from the outbox; claims, attempts and outcomes of couriers.
Out:   deliveries to work on; what became of each.
Never: an outcome written under an old fence; a delivery made twice.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

from tillit.deliver.copies import (
    EVENT_RECORD,
    PENDING,
    PEOPLE_RECORD,
    REMOVING,
    Copies,
    advance,
    ask_anew,
    catch_up,
    keep_until,
    touch_people,
)
from tillit.deliver.deliveries import (
    ATTEMPT_COLUMNS,
    COLUMNS,
    DEAD,
    ENDED,
    EVENT,
    MESSAGE,
    RECORD,
    SUPERSEDED,
    UNCHANGED,
    WAITING,
    Attempt,
    Beginning,
    Delivery,
    Line,
    Outcome,
    Stop,
    delivery_of,
    insert_deliveries,
    key_of,
    new_row,
)
from tillit.deliver.history import History
from tillit.deliver.outbox import TO_FOLLOW, TO_FORWARD, TO_REVIEW, TO_SEND, TO_WALK, Work
from tillit.deliver.reports import Reports
from tillit.deliver.standings import Standings, note_answers
from tillit.deliver.wire import DELIVERED, HALTED, REFUSED, REMOVE, UNKNOWN, Answer
from tillit.store import SqliteState, Writing

_SECOND = 1_000_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 6 * 3600.0  # taste: a dozen tries cover about a day
_DUE, _WRITTEN = 1, 2  # of attempt.disclosure


class _Held(NamedTuple):
    """What stands in the file of a delivery that is still its courier's."""

    n_attempts: int
    subject_ref: str


class Queue:
    """The deliveries of one workspace. Several processes may hold it."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int], chance: Random) -> None:
        """Use a store that was migrated. `chance` spreads tries again."""
        self.store = store
        self._now = now
        self._chance = chance
        self.copies = Copies(store, now=now)
        self.standings = Standings(store, now=now)
        self.history = History(store)
        self.reports = Reports(store)

    def now(self) -> int:
        """Give the instant, as everything here is dated. Units: UTC epoch microseconds."""
        return self._now()

    def taken(self, ends: Callable[[], tuple[int, int]]) -> int:
        """Say up to which log position the outbox was taken; never beyond the end of a log that was restored.

        `ends` gives the log's epoch and its last position.
        """
        rows = self.store.read("SELECT epoch, position FROM taken")
        if not rows:
            return 0
        told_epoch, position = rows[0]
        epoch, head = ends()  # after the other: the log may grow meanwhile
        if told_epoch != epoch or head < position:
            # Kept at once: what comes after the restored end is to leave, however late it is taken.
            position = min(position, head)
            with self.store.transaction() as tx:
                tx.execute("UPDATE taken SET epoch = ?, position = ?", (epoch, position))
        return int(position)

    def start(self, epoch: int, head: int) -> None:
        """Begin at the head of the log: of a log that came here without these deliveries nothing is sent again.

        Beside a log that is older than they are: at its head, so that what comes from now on is sent.
        """
        rows = self.store.read("SELECT position FROM taken")
        if not rows or int(rows[0][0]) > head:
            with self.store.transaction() as tx:
                tx.execute(
                    "INSERT INTO taken (one, epoch, position) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE "
                    "SET position = min(position, excluded.position)",
                    (epoch, head),
                )

    def take(
        self, work: Sequence[Work], lines: Callable[[Sequence[Work]], list[Line | None]], *, epoch: int, through: int
    ) -> int:
        """Make deliveries of work, each once, and remember how far it was taken; say how many came."""
        now = self._now()
        rows = []
        touched: dict[int, bool] = {}
        for one, line in zip(work, lines(work), strict=True):
            if one.work in (TO_SEND, TO_FORWARD):
                touched.setdefault(one.identifier_id, False)
                if line is None:
                    continue
                kind = MESSAGE if one.work == TO_SEND else EVENT
                key = key_of(line.destination, kind, one.message_hash)
                record_key = "" if kind == MESSAGE else key.hex()
                rows.append(new_row(key, kind, line, one.position, record_key, line.subject_ref, now))
            elif one.work in (TO_FOLLOW, TO_REVIEW):
                touched[one.identifier_id] = one.work == TO_REVIEW or touched.get(one.identifier_id, False)
        with self.store.transaction() as tx:
            insert_deliveries(tx, rows)
            touch_people(tx, touched, now)
            if any(one.work == TO_WALK for one in work):
                tx.execute("UPDATE walk SET terms = ''")
            tx.execute(
                "INSERT INTO taken (one, epoch, position) VALUES (1, ?, ?) "
                "ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, position = excluded.position",
                (epoch, through),
            )
        return len(rows)

    def followed(self) -> int:
        """Say up to which change of audiences people were looked at."""
        rows = self.store.read("SELECT change_id FROM followed")
        return int(rows[0][0]) if rows else 0

    def follow_changes(self, ids: Iterable[int], through: int) -> None:
        """Ask for a look at people who came into audiences or went, up to a change."""
        with self.store.transaction() as tx:
            touch_people(tx, dict.fromkeys(ids, False), self._now())
            tx.execute(
                "INSERT INTO followed (one, change_id) VALUES (1, ?) "
                "ON CONFLICT (one) DO UPDATE SET change_id = excluded.change_id",
                (through,),
            )

    def has_due(self, destination: str) -> bool:
        """Say whether a destination that neither is held nor rests has anything due, or on its way."""
        standing, now = self.standings.of(destination), self._now()
        if standing.paused_at is not None:
            return False
        until = now if standing.resting_until <= now else -1
        return bool(
            self.store.read(
                "SELECT 1 FROM delivery WHERE destination = ? AND (state = 'claimed' OR (state = 'waiting' "
                "AND due_at <= ?)) LIMIT 1",
                (destination, until),
            )
        )

    def claim(self, destination: str, *, courier: str, lease_s: float, most: int) -> list[Delivery]:
        """Take deliveries of a destination that are due, for as long as a lease; each under a new fence."""
        now = self._now()
        found = self.store.read(
            "SELECT delivery_id FROM delivery WHERE destination = ? AND state = 'waiting' AND due_at <= ? "
            "ORDER BY due_at, delivery_id LIMIT ?",
            (destination, now, most),
        )
        if not found:
            return []
        claimed: list[Delivery] = []
        with self.store.transaction() as tx:
            tx.executemany(
                "UPDATE delivery SET state = 'claimed', courier = ?, lease_until = ?, fence = fence + 1 "
                "WHERE delivery_id = ? AND state = 'waiting'",
                [(courier, now + int(lease_s * _SECOND), i) for (i,) in found],
            )
            claimed += map(
                delivery_of,
                tx.read_in(
                    f"SELECT {COLUMNS} FROM delivery WHERE courier = ? AND state = 'claimed' AND delivery_id IN {{in}}",
                    [i for (i,) in found],
                    (courier,),
                ),
            )
        return sorted(claimed, key=lambda one: (one.due_at, one.delivery_id))

    def begin(self, beginnings: Sequence[Beginning]) -> list[bool]:
        """Write down that these are about to go to the wire; on disk when it returns.

        False: the lease was lost, and it must not go.
        """
        now = self._now()
        with self.store.transaction() as tx:
            held = _held(tx, [one.delivery for one in beginnings])
            going = [one for one in beginnings if one.delivery.delivery_id in held]
            tx.executemany(
                "UPDATE delivery SET n_attempts = n_attempts + 1, subject_ref = ? WHERE delivery_id = ?",
                [(one.subject_ref, one.delivery.delivery_id) for one in going],
            )
            tx.executemany(
                f"INSERT INTO attempt ({ATTEMPT_COLUMNS}) VALUES ({', '.join('?' * len(Attempt._fields))})",
                [_attempt_row(one, held[one.delivery.delivery_id].n_attempts + 1, now) for one in going],
            )
            tx.executemany(
                "INSERT INTO record (destination, record_key, kind, subject_ref, position, payload_hash, "
                "state, code, generation, changed_at, until_at) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?) "
                "ON CONFLICT (destination, record_key) DO UPDATE SET state = excluded.state, "
                "subject_ref = CASE WHEN excluded.subject_ref = '' THEN record.subject_ref "
                "ELSE excluded.subject_ref END, changed_at = excluded.changed_at, until_at = excluded.until_at",
                [_record_row(one, now) for one in going if one.record_kind],
            )
        return [one.delivery.delivery_id in held for one in beginnings]

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Write down how attempts ended, and what follows for delivery, record and destination."""
        now = self._now()
        with self.store.transaction() as tx:
            held = _held(tx, [one.begun.delivery for one in outcomes])
            for one in outcomes:
                # Else somebody else has it, and this attempt is read as unknown.
                if one.begun.delivery.delivery_id in held:
                    self._end(tx, one, held[one.begun.delivery.delivery_id], now)
            for destination in dict.fromkeys(one.begun.delivery.destination for one in outcomes):
                note_answers(
                    tx, destination, [o.answer for o in outcomes if o.begun.delivery.destination == destination], now
                )

    def _end(self, tx: Writing, one: Outcome, held: _Held, now: int) -> None:
        told, answer, n = one.begun.delivery, one.answer, held.n_attempts
        if not held.subject_ref:  # of nobody any more: they were erased, and nothing would ever take the words out
            answer = answer._replace(words="", reference="")
        tx.execute(
            "UPDATE attempt SET ended_at = ?, outcome = ?, code = ?, words = ?, reference = ?, disclosure = ? "
            "WHERE delivery_id = ? AND attempt = ?",
            (
                now,
                answer.outcome,
                answer.code,
                answer.words,
                answer.reference,
                _DUE if answer.has_left and one.begun.what != REMOVE else 0,
                told.delivery_id,
                n,
            ),
        )
        state, code, due_at, is_again = self._follows(one, n, now)
        self._put(tx, told, state, code, due_at, is_again, now)
        if one.begun.record_kind:
            advance(tx, one, state, now)

    def _follows(self, one: Outcome, n: int, now: int) -> tuple[str, str, int, bool]:
        """Say what becomes of a delivery: its state, the code of it, when it is due again, whether it may be twice."""
        told, answer = one.begun.delivery, one.answer
        if answer.outcome in (DELIVERED, REFUSED):
            return answer.outcome, answer.code, now, told.is_again
        if answer.outcome == HALTED:
            return WAITING, answer.code, now, told.is_again
        if answer.outcome == UNKNOWN and not one.is_idempotent:
            may_again = told.message_class != "marketing" and not told.is_again
            return (WAITING if may_again else UNKNOWN), answer.code, now, True
        is_again = told.is_again or answer.outcome == UNKNOWN
        if n - told.n_forgiven >= one.most_attempts:
            return (UNKNOWN if is_again and one.begun.what == MESSAGE else DEAD), answer.code, now, is_again
        return (
            WAITING,
            answer.code,
            now + int(self.pause_s(n - told.n_forgiven, answer.retry_after_s) * _SECOND),
            is_again,
        )

    def pause_s(self, n_tries: int, asked_s: float | None) -> float:
        """Say how long to wait before the next try: longer each time, not all at one instant."""
        pause = min(_FIRST_PAUSE_S * 2 ** (n_tries - 1), _LONGEST_PAUSE_S)
        return float(max(asked_s or 0.0, pause * (0.5 + self._chance.random() / 2)))

    def _put(self, tx: Writing, told: Delivery, state: str, code: str, due_at: int, is_again: bool, now: int) -> None:
        has_ended = state in ENDED
        tx.execute(
            "UPDATE delivery SET state = ?, code = ?, due_at = ?, is_again = ?, ended_at = ?, is_told = ?, "
            # Whoever lost the lease writes nothing, also when nobody has claimed it since.
            "lease_until = 0 WHERE delivery_id = ? AND fence = ? AND state = 'claimed'",
            (
                state,
                code,
                due_at,
                int(is_again),
                now if has_ended else None,
                int(not (has_ended and told.kind == MESSAGE)),
                told.delivery_id,
                told.fence,
            ),
        )
        if told.kind == EVENT or (told.kind == RECORD and has_ended):
            catch_up(tx, told, now)

    def stop(self, stops: Sequence[Stop]) -> None:
        """Write down what does not go to the wire."""
        with self.store.transaction() as tx:
            self._stop(tx, stops, self._now())

    def _stop(self, tx: Writing, stops: Sequence[Stop], now: int) -> None:
        for one in stops:
            told = one.delivery
            if one.code == SUPERSEDED:
                ask_anew(tx, told.destination, told.record_key)
            self._put(tx, told, one.state, one.code, one.due_at or told.due_at, told.is_again, now)
            if one.subject_ref:
                tx.execute(
                    "UPDATE delivery SET subject_ref = ? WHERE delivery_id = ?", (one.subject_ref, told.delivery_id)
                )
            if one.state == UNCHANGED and one.code != SUPERSEDED:
                keep_until(tx, told.destination, told.record_key, one.until_at)

    def call_back(self, stops: Sequence[tuple[Beginning, Stop]]) -> None:
        """Write down attempts that were begun and did not go: the last look before the wire said otherwise."""
        now = self._now()
        with self.store.transaction() as tx:
            tx.executemany(
                "UPDATE attempt SET ended_at = ?, outcome = 'stopped', code = ? "
                "WHERE delivery_id = ? AND fence = ? AND ended_at IS NULL",
                [(now, stop.code, begun.delivery.delivery_id, begun.delivery.fence) for begun, stop in stops],
            )
            tx.executemany(  # it was no try of the destination
                "UPDATE delivery SET n_forgiven = n_forgiven + 1 "
                "WHERE delivery_id = ? AND fence = ? AND state = 'claimed'",
                [(begun.delivery.delivery_id, begun.delivery.fence) for begun, _ in stops],
            )
            tx.executemany(  # an event of which nothing ever left is not there to be removed
                "UPDATE record SET state = '' WHERE destination = ? AND record_key = ? AND state = 'pending' "
                "AND NOT EXISTS (SELECT 1 FROM attempt WHERE delivery_id = ? AND outcome <> 'stopped')",
                [
                    (begun.delivery.destination, begun.record_key, begun.delivery.delivery_id)
                    for begun, _ in stops
                    if begun.record_kind == EVENT_RECORD
                ],
            )
            self._stop(tx, [stop for _, stop in stops], now)

    def renew(self, courier: str, *, lease_s: float) -> None:
        """Keep what a courier has claimed."""
        with self.store.transaction() as tx:
            tx.execute(
                "UPDATE delivery SET lease_until = ? WHERE state = 'claimed' AND courier = ?",
                (self._now() + int(lease_s * _SECOND), courier),
            )

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give claims back that were not worked on."""
        self.stop([Stop(one, WAITING, one.code, due_at=one.due_at) for one in deliveries])

    def replay(self, *, destination: str = "", ids: Sequence[int] = (), code: str = "", is_dry: bool = False) -> int:
        """Let what did not arrive go once more, under its key; say how many. Everything is asked anew.

        `is_dry`: only count.
        """
        states = (REFUSED, DEAD, UNKNOWN)
        wheres, params = [f"state IN ({', '.join('?' * len(states))})"], list[Any](states)
        if destination:
            wheres.append("destination = ?")
            params.append(destination)
        if code:
            wheres.append("code = ?")
            params.append(code)
        if ids:
            wheres.append(f"delivery_id IN ({', '.join('?' * len(ids))})")
            params += ids
        where = " AND ".join(wheres)
        now = self._now()
        with self.store.transaction() as tx:
            # Of a record there is one delivery at a time: where a newer one waits or did more, it does the work.
            newer = (
                "SELECT 1 FROM delivery o WHERE d.kind = 'record' AND o.kind = 'record' "
                "AND o.destination = d.destination AND o.record_key = d.record_key "
                "AND (o.state IN ('waiting', 'claimed') "
                "OR (o.delivery_id > d.delivery_id AND o.state NOT IN ('unchanged', 'withheld')))"
            )
            columns = "delivery_id, destination, record_key"
            rows = tx.read(f"SELECT {columns} FROM delivery d WHERE {where} AND NOT EXISTS ({newer})", params)
            if is_dry:
                return len(rows)
            tx.executemany(
                "UPDATE delivery SET state = 'waiting', due_at = ?, n_forgiven = n_attempts, ended_at = NULL, "
                "is_told = 1 WHERE delivery_id = ?",
                [(now, i) for i, _, _ in rows],
            )
            tx.executemany(
                "UPDATE record SET payload_hash = ? WHERE destination = ? AND record_key = ? AND state = 'rejected'",
                [(b"", destination, record_key) for _, destination, record_key in rows],
            )
        return len(rows)

    def find_lost(self, courier: str, *, is_start: bool) -> list[Delivery]:
        """Give claims of other couriers whose lease is over; at a courier's start also all that it held when it died.

        What it claimed since it knows itself.
        """
        rows = self.store.read(
            f"SELECT {COLUMNS} FROM delivery WHERE state = 'claimed' "
            "AND ((courier <> ? AND lease_until < ?) OR (courier = ? AND ? = 1))",
            (courier, self._now(), courier, int(is_start)),
        )
        return [delivery_of(row) for row in rows]

    def recover(
        self,
        lost: Sequence[Delivery],
        is_idempotent: Callable[[str], bool],
        most: Callable[[str], int],
        *,
        courier: str,
    ) -> int:
        """Settle deliveries of a courier that died: what was not on the wire waits again, what was is unknown.

        Gives how many were on the wire. What is missing of them in ledger and log is from here on `courier`'s to write.
        """
        n = 0
        for told in lost:
            open_ones = self.store.read(
                f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id = ? AND ended_at IS NULL ORDER BY attempt",
                (told.delivery_id,),
            )
            with self.store.transaction() as tx:
                held = _held(tx, [told])
                if not held:
                    continue
                tx.execute("UPDATE delivery SET courier = ? WHERE delivery_id = ?", (courier, told.delivery_id))
                if not open_ones:
                    self._put(tx, told, WAITING, told.code, told.due_at, told.is_again, self._now())
                    continue
                n += 1
                last = Attempt(*open_ones[-1])
                record_kind = _record_kind(told.kind)
                begun = Beginning(
                    told,
                    last.what,
                    told.record_key,
                    record_kind,
                    last.subject_ref,
                    last.fields,
                    bytes(last.payload_hash),
                    last.basis,
                    last.record_position,
                    last.decided_at,
                    last.until_at,
                )
                answer = Answer(UNKNOWN, "courier.died")
                outcome = Outcome(begun, answer, most(told.destination), is_idempotent(told.destination))
                self._end(tx, outcome, held[told.delivery_id], self._now())
        return n

    def find_undisclosed(
        self, courier: str, *, is_start: bool = False, lease_s: float | None = None, most: int = 500
    ) -> list[tuple[Delivery, Attempt]]:
        """Give attempts in which values left, and that the ledger does not have yet: those of a courier.

        With `lease_s`: those that others left so long ago that they must have died, and at a courier's start its own.
        """
        until = -1 if lease_s is None else self._now() - int(lease_s * _SECOND)
        rows = self.store.read(
            f"SELECT {', '.join(f'a.{name}' for name in Attempt._fields)} FROM attempt a "
            f"JOIN delivery d ON d.delivery_id = a.delivery_id WHERE a.disclosure = {_DUE} "
            "AND ((d.courier = ? AND ? = 1) OR (d.courier <> ? AND a.ended_at < ?)) ORDER BY a.delivery_id LIMIT ?",
            (courier, int(is_start or lease_s is None), courier, until, most),
        )
        attempts = [Attempt(*row) for row in rows]
        found = {one.delivery_id: one for one in self.history.get_many([a.delivery_id for a in attempts])}
        return [(found[one.delivery_id], one) for one in attempts]

    def mark_disclosed(self, attempts: Sequence[Attempt]) -> None:
        """Note that the ledger has them."""
        with self.store.transaction() as tx:
            tx.executemany(
                f"UPDATE attempt SET disclosure = {_WRITTEN} WHERE delivery_id = ? AND attempt = ?",
                [(one.delivery_id, one.attempt) for one in attempts],
            )

    def find_untold(self, *, most: int = 500) -> list[Delivery]:
        """Give messages that ended, and of which the log does not tell yet."""
        rows = self.store.read(
            f"SELECT {COLUMNS} FROM delivery WHERE is_told = 0 AND ended_at IS NOT NULL ORDER BY delivery_id LIMIT ?",
            (most,),
        )
        return [delivery_of(row) for row in rows]

    def mark_told(self, deliveries: Sequence[Delivery]) -> None:
        """Note that the log tells of them."""
        with self.store.transaction() as tx:
            tx.executemany(
                "UPDATE delivery SET is_told = 1 WHERE delivery_id = ?", [(d.delivery_id,) for d in deliveries]
            )

    def forget(self, subjects: Sequence[str]) -> int:
        """Let go of what recipients said of a person, and of lists that name them; say how many rows it was."""
        with self.store.transaction() as tx:
            rows = tx.read_in("SELECT delivery_id, attempt FROM attempt WHERE subject_ref IN {in}", subjects)
            # What is on the wire now names nobody when its answer comes.
            tx.executemany(
                "UPDATE delivery SET subject_ref = '' WHERE subject_ref = ? AND state = 'claimed'",
                [(one,) for one in subjects],
            )
            tx.executemany("UPDATE attempt SET words = '', reference = '' WHERE delivery_id = ? AND attempt = ?", rows)
        return len(rows)


def _held(tx: Writing, deliveries: Sequence[Delivery]) -> dict[int, _Held]:
    """Give which of these are still their courier's."""
    fences = {one.delivery_id: one.fence for one in deliveries}
    rows = tx.read_in(
        "SELECT delivery_id, fence, n_attempts, subject_ref FROM delivery WHERE state = 'claimed' "
        "AND delivery_id IN {in}",
        [*fences],
    )
    return {int(i): _Held(int(n), subject) for i, fence, n, subject in rows if fences[i] == fence}


def _attempt_row(one: Beginning, n: int, now: int) -> tuple[Any, ...]:
    told = one.delivery
    fields = "\n".join(one.fields)
    return (
        *(told.delivery_id, n, told.fence, now, None, one.what, "", "", "", "", one.subject_ref, fields),
        *(one.payload_hash, one.basis, one.record_position, one.decided_at, one.until_at, one.address_hash),
        *(int(told.is_again), 0),
    )


def _record_row(one: Beginning, now: int) -> tuple[Any, ...]:
    told, state = one.delivery, REMOVING if one.what == REMOVE else PENDING
    about = (told.destination, one.record_key, one.record_kind, one.subject_ref, told.position)
    return (*about, b"", state, now, one.until_at)


def _record_kind(kind: str) -> str:
    return {RECORD: PEOPLE_RECORD, EVENT: EVENT_RECORD}.get(kind, "")
