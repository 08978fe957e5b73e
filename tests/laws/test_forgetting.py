"""L7 and L8 together: after forgetting, no byte stays, everybody else is as before, and the fold of the log agrees.

Histories are small and full of collisions (shared devices, aliases, repeats, poison). Some of each history is
forgotten, before or after the log was trimmed to what the lake lacks, in one act or several, with crashes in between.
"""

import contextlib
import hashlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.laws.test_identity_acts import act, decided_logs, saying
from tests.strategies import NOON, SECOND, logs, place
from tillit.flow import Engine, LakeWriter, carry_fates, compare_states, fold_anew, forget_act, prepare
from tillit.flow.rebuild import iter_log
from tillit.identity import DEFAULT_RULES, applied_rules, find_membership, is_identity_act, read_event
from tillit.profile import act_row, get_document
from tillit.records import (
    KIND_EVENT,
    TRUST_CLAIMED,
    TRUST_SERVER,
    TRUST_VERIFIED,
    LogRow,
    MemberIdentifier,
    NewRow,
    Permit,
    Scope,
)
from tillit.store import Log, SqliteState
from tillit.store.lake import Lake
from tillit.store.scan import find_bytes

USERS = ["user-ana-7f3kq9", "user-bo-x81mmz", "user-cem-0wq5tt"]
DEVICES = {"tablet": "device-one-9zk", "kiosk": "device-two-4hx"}
NAMES = [*USERS, *DEVICES.values(), "ana@example.org", "bo@example.org"]  # long enough not to appear by chance
N_EXAMPLES = int(os.environ.get("TILLIT_FORGET_EXAMPLES", "12"))  # each has a log, a state and a lake of its own
PERMIT = Permit(Scope("service", 0, "test", 0, "contract", "", None, ()), "", None, None)


class Killed(BaseException):
    """The process ended here."""


class Shop:
    """Log, state and lake of one small workspace, with an engine and a keeper that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log.open(folder / "log.db", synchronous="OFF")
        self.state = SqliteState(folder / "state.db", synchronous="OFF", cache_kb=2_048)
        self.lake = Lake.open(folder / "lake", sync=False)
        self.restart()

    def restart(self) -> None:
        """A process died; the next one knows what is on disk."""
        self.engine = Engine(
            self.log,
            self.state,
            self.folder / "lake",
            self.folder / "changeover",
            now=lambda: NOON,
            batch_rows=7,
            tick_s=3_600,
            adult_age=18,
        )
        self.keeper = LakeWriter(self.log, self.state, self.lake)

    def take(self, rows: Sequence[LogRow]) -> None:
        self.log.append([NewRow(*row[2:-1], row.body or b"") for row in rows], now=NOON + 2_000 * SECOND)
        self.engine.catch_up()

    def forget(self, positions: Sequence[int]) -> None:
        self.log.append([forget_act(positions, now=NOON)], now=NOON)
        self.engine.catch_up()

    def trim(self, through: int) -> None:
        self.keeper.catch_up()
        self.log.trim(min(through, self.lake.position()))

    def differences(self) -> list[str]:
        """Hold the live state against the fold of what log and lake now hold."""
        with tempfile.TemporaryDirectory() as folder:
            anew = SqliteState(Path(folder) / "anew.db", synchronous="OFF", cache_kb=2_048)
            try:
                rules = applied_rules(self.state)
                prepare(anew, rules)
                carry_fates(self.state, anew, before=self.log.first_position())
                blocks = iter_log(self.log, lambda: self.lake, self.engine.fold.position)
                fold_anew(
                    anew,
                    blocks,
                    self.engine.rows,
                    epoch=self.log.epoch(),
                    rules=rules,
                    first_position=self.log.first_position(),
                )
                return [str(found) for found in compare_states(self.state, anew)]
            finally:
                anew.close()

    def document(self, who: str) -> dict[str, Any] | None:
        handle = DEFAULT_RULES.parse(who)
        membership = find_membership(self.state, handle) if handle is not None else None
        return get_document(self.state, membership, PERMIT, epoch=1) if membership is not None else None

    def find(self, markers: Sequence[str]) -> list[tuple[str, str]]:
        found = find_bytes(self.folder, markers)
        assert all(one.marker >= 0 for one in found), "a file could not be looked into"
        return [(markers[one.marker], f"{one.file}: {one.place}") for one in found]

    def close(self) -> None:
        self.lake.close()
        self.state.close()
        self.log.close()


@contextlib.contextmanager
def new_shop() -> Iterator[Shop]:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        try:
            yield shop
        finally:
            shop.close()


def marked(rows: Sequence[LogRow]) -> tuple[list[LogRow], dict[int, str]]:
    """Put a word of its own into each event that can carry one; repeats carry the word of their first."""
    told: list[LogRow] = []
    markers: dict[int, str] = {}
    first: dict[bytes, LogRow] = {}
    for row in rows:
        if is_identity_act(row):
            body = json.loads(row.body or b"")
            markers[row.position] = body["reason"] = f"marker-{row.position:04d}-q8z"
            row = row._replace(body=json.dumps(body).encode())
        elif row.kind == KIND_EVENT and (body := _document(row.body)) is not None and not is_nobodys_alias(row):
            earlier = first.setdefault(row.message_hash, row)
            word = f"marker-{earlier.position:04d}-q8z"
            markers[row.position] = word
            body["note"] = word
            body["messageId"] = f"m-{earlier.position}"
            key = hashlib.blake2b(f"server\0m-{earlier.position}".encode(), digest_size=16).digest()
            if "text" in body:
                body["text"] = word  # of a note
            if isinstance(body.get("traits"), dict):
                body["traits"] = {**body["traits"], "secret": word}
            text = json.dumps(body)
            for short, long in DEVICES.items():
                text = text.replace(f'"{short}"', f'"{long}"')
            row = row._replace(body=text.encode(), source="server", message_hash=key)
        elif is_nobodys_alias(row):
            row = row._replace(body=b"")
        told.append(row)
    return told, markers


def is_nobodys_alias(row: LogRow) -> bool:
    """Say whether an event names nobody but a previous id: a known user then decides whether it is an event at all.

    Which of them that was is not kept, so the fold of such a log may differ once that user was forgotten.
    """
    try:
        event = read_event(row.body or b"")
    except msgspec.DecodeError:
        return False
    return event.type == "alias" and all(handle.rank < 0 for handle in DEFAULT_RULES.handles_of(event))


def _document(body: bytes | None) -> dict[str, Any] | None:
    try:
        told = json.loads(body or b"")
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def repeats_of(rows: Sequence[LogRow], positions: set[int]) -> set[int]:
    """A resend holds the same words: forgetting a message forgets each of its sends."""
    hashes = {row.message_hash for row in rows if row.position in positions and row.kind == KIND_EVENT}
    return positions | {row.position for row in rows if row.message_hash in hashes}


def words_gone(rows: Sequence[LogRow], markers: dict[int, str], forgotten: set[int]) -> list[str]:
    """Give the words that only forgotten events held."""
    left = b" ".join(row.body or b"" for row in rows if row.position not in forgotten).lower().decode(errors="replace")
    held = b" ".join(row.body or b"" for row in rows if row.position in forgotten).lower().decode(errors="replace")
    return [word for word in [*dict.fromkeys(markers.values()), *NAMES] if word in held and word not in left]


ABOUT = [
    *(("user_id", user) for user in USERS),
    ("email", "ana@example.org"),
    ("email", "bo@example.org"),
    ("card", "c1"),
    *(("anonymous_id", device) for device in DEVICES.values()),
]


@st.composite
def told_logs(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log in which colleagues also decide who is who, and say what they know of people."""
    rows = draw(decided_logs(about=ABOUT, users=USERS)) if draw(st.integers(0, 3)) else draw(logs(users=USERS))
    for number in range(draw(st.integers(0, 2))):
        namespace, value = draw(st.sampled_from(ABOUT))
        kind = draw(st.sampled_from(["correct", "note"]))
        whose = MemberIdentifier(0, namespace, value, 0, ())
        said = {"type": kind, **({"traits": {"plan": "free"}} if kind == "correct" else {"text": "called twice"})}
        new = act_row(
            said, whose, operator="kim", reason="", message_id=f"said-{number}", now=NOON, event_at=NOON + number
        )
        rows.insert(draw(st.integers(1, len(rows))), LogRow(0, 0, *new))
    return place(rows)


@st.composite
def stories(draw: st.DrawFn) -> list[LogRow]:
    """Draw a log about few identifiers and much deciding: acts that meet the events and acts they are about."""
    keys = draw(st.permutations(ABOUT))[:3]
    person = [key for key in keys if key[0] != "anonymous_id"]
    keys = [person[0], *(key for key in keys if key != person[0])]  # there are two devices: one of three is none
    pairs = [(keys[0], keys[1]), (keys[0], keys[1]), (keys[0], keys[2])]
    rows = [saying(1, pairs[0], at=1, trust=TRUST_SERVER)]
    made: list[str] = []
    for number in range(2, draw(st.integers(4, 9))):
        kind = draw(st.sampled_from(["cut", "said", "undo", "join", "pin", "undo", "said", "block", "free"]))
        if kind == "said" or (kind == "undo" and not made):
            trust = draw(st.sampled_from([TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED]))
            rows.append(saying(number, draw(st.sampled_from(pairs)), at=draw(st.integers(1, 5)), trust=trust))
        else:
            of = draw(st.sampled_from(made[::-1])) if made else ""
            rows.append(act(number, kind, *draw(st.sampled_from(pairs)), of=of))
            made.append(f"act-{number}")
    return place(rows)


@st.composite
def choices(draw: st.DrawFn, rows: Sequence[LogRow]) -> set[int]:
    """Choose whole messages to forget."""
    events = sorted({row.message_hash for row in rows if row.kind == KIND_EVENT})
    chosen = draw(st.sets(st.sampled_from(events))) if events else set()
    return {row.position for row in rows if row.kind == KIND_EVENT and row.message_hash in chosen}


def assert_forgotten(shop: Shop, rows: Sequence[LogRow], markers: dict[int, str], forgotten: set[int]) -> None:
    shop.keeper.catch_up()
    assert shop.differences() == []
    assert shop.find(words_gone(rows, markers, forgotten)) == []


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_what_is_forgotten_is_gone_and_the_fold_agrees(data: st.DataObject) -> None:
    rows, markers = marked(data.draw(told_logs()))
    forgotten = data.draw(choices(rows))
    with new_shop() as shop:
        shop.take(rows)
        shop.keeper.catch_up()
        words = words_gone(rows, markers, forgotten)
        seen = {word for word, _ in shop.find(words)}
        # An identifier may have been said in other letters than those it is kept in.
        assert {word for word in words if word.startswith("marker")} <= seen, "the scan must see what is there"

        shop.forget(sorted(forgotten))

        assert_forgotten(shop, rows, markers, forgotten)


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_it_may_be_done_in_parts_and_twice(data: st.DataObject) -> None:
    rows, markers = marked(data.draw(told_logs()))
    with new_shop() as shop:
        shop.take(rows)
        forgotten: set[int] = set()
        for _ in range(3):
            if data.draw(st.booleans()):
                shop.keeper.catch_up()
            part = data.draw(choices(rows))
            forgotten |= part
            shop.forget(sorted(part))

        assert_forgotten(shop, rows, markers, forgotten)


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_what_the_log_no_longer_holds_is_forgotten_too(data: st.DataObject) -> None:
    rows, markers = marked(data.draw(told_logs()))
    forgotten: set[int] = set()
    with new_shop() as shop:
        shop.take(rows)
        for _ in range(2):
            shop.trim(data.draw(st.integers(0, len(rows))))
            assert shop.differences() == []
            part = data.draw(choices(rows))
            forgotten |= part
            shop.forget(sorted(part))

        assert_forgotten(shop, rows, markers, forgotten)
        shop.trim(len(rows))
        assert shop.differences() == []


@settings(max_examples=N_EXAMPLES * 3)
@given(st.data())
def test_decisions_are_forgotten_like_any_event(data: st.DataObject) -> None:
    rows, markers = marked(data.draw(stories()))
    forgotten: set[int] = set()
    with new_shop() as shop:
        shop.take(rows)
        for _ in range(data.draw(st.integers(1, 2))):
            shop.trim(data.draw(st.sampled_from([0, 0, len(rows) // 2, len(rows)])))
            part = data.draw(choices(rows))
            forgotten |= part
            shop.forget(sorted(part))

            assert_forgotten(shop, rows, markers, forgotten)


STEPS = (
    "tillit.flow.engine.forget_in_log",
    "tillit.flow.forget._refold",
    "tillit.store.log.Log.forget",
    "tillit.store.log.truncate_wal",
    "tillit.flow.fold.Fold.forget_people",
    "tillit.store.state.SqliteState.scrub",
    "tillit.flow.fold._keep_position",
    "tillit.store.log.Log.husked",
    "tillit.store.log.Log.lake_forgot",
    "tillit.store.lake.Lake.forget",
    "tillit.store.lake.Lake._checkpoint",
    "tillit.store.lake.Lake._sweep",
)


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_a_crash_in_the_middle_is_made_good_by_the_next_start(data: st.DataObject) -> None:
    rows, markers = marked(data.draw(st.one_of(told_logs(), stories())))
    earlier, forgotten = data.draw(choices(rows)), data.draw(choices(rows))
    with new_shop() as shop:
        shop.take(rows)
        shop.trim(data.draw(st.sampled_from([0, 0, len(rows) // 2])))
        shop.forget(sorted(earlier))
        for _ in range(data.draw(st.integers(1, 3))):
            is_after = data.draw(st.booleans())
            with killed_at(data.draw(st.sampled_from(STEPS)), is_after=is_after), contextlib.suppress(Killed):
                shop.forget(sorted(forgotten))
                shop.keeper.catch_up()
            shop.restart()
        shop.engine.catch_up()

        assert_forgotten(shop, rows, markers, earlier | forgotten)


@contextlib.contextmanager
def killed_at(step: str, *, is_after: bool) -> Iterator[None]:
    """End the process just before or just after one step."""
    owner, _, name = step.rpartition(".")
    module, _, kind = owner.rpartition(".")
    target: Any = (
        getattr(importlib.import_module(module), kind) if kind[0].isupper() else importlib.import_module(owner)
    )
    before = getattr(target, name)

    def end(*args: Any, **more: Any) -> Any:
        if is_after:
            before(*args, **more)
        raise Killed

    with mock.patch.object(target, name, end):
        yield


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_nobody_else_changes(data: st.DataObject) -> None:
    # Dana shares no identifier with the others.
    rows, _ = marked(data.draw(told_logs()))
    forgotten = data.draw(choices(rows))
    with new_shop() as shop:
        shop.take(rows[: len(rows) // 2])
        dana = [_dana(n) for n in range(3)]
        shop.take(dana[:2])
        shop.take(rows[len(rows) // 2 :])
        shop.take(dana[2:])
        before = shop.document("user_id:dana")
        place = {row.message_hash: row.position for row in shop.log.read(0, 1_000)}
        chosen = {place[row.message_hash] for row in rows if row.position in forgotten}

        shop.forget(sorted(chosen))

        assert before is not None
        assert shop.document("user_id:dana") == before


def _dana(n: int) -> LogRow:
    body = {"type": "identify", "messageId": f"dana-{n}", "userId": "dana", "anonymousId": "danas-phone",
            "traits": {"email": "dana@example.org", "n": n}}  # fmt: skip
    return LogRow(
        0,
        0,
        KIND_EVENT,
        "server",
        2,
        NOON,
        NOON + n * SECOND,
        f"dana-{n}".encode().ljust(16),
        json.dumps(body).encode(),
    )


@settings(max_examples=N_EXAMPLES)
@given(st.data())
def test_a_resend_of_what_was_forgotten_brings_nothing_back(data: st.DataObject) -> None:
    rows, _ = marked(data.draw(logs(users=USERS, poison=False)))
    forgotten = data.draw(choices(rows))
    with new_shop() as shop:
        shop.take(rows)
        if data.draw(st.booleans()):
            shop.trim(len(rows))
        # What went to quarantine never held its message id: a resend is judged like any new event.
        applied = {position for (position,) in shop.state.read("SELECT position FROM event_index")}
        held = {row.message_hash for row in rows if row.position in applied}
        again = [row for row in rows if row.position in forgotten and row.message_hash in held]
        shop.forget(sorted(forgotten))
        before = shop.state.read("SELECT * FROM event_index ORDER BY position")

        shop.take(again)

        fates: dict[int, str] = dict(shop.state.read("SELECT position, fate FROM fate"))
        head = shop.log.head()
        assert {fates.get(position) for position in range(head - len(again) + 1, head + 1)} <= {"duplicate"}
        assert shop.state.read("SELECT * FROM event_index ORDER BY position") == before


@settings(max_examples=N_EXAMPLES)
@example(kinds=[2, 4, 1])
@given(kinds=st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=5))
def test_what_is_no_event_cannot_be_forgotten(kinds: list[int]) -> None:
    with new_shop() as shop:
        now = NOON
        shop.log.append(
            [NewRow(kind, "engine", 3, now, now, bytes(16), b'{"type":"track","userId":"dana"}') for kind in kinds],
            now=now,
        )
        shop.engine.catch_up()
        held = {row.position: row.body for row in shop.log.read(0, 100) if row.kind != KIND_EVENT}

        shop.forget([*range(1, len(kinds) + 3), 10**9])

        assert {p: row.body for p, row in shop.log.get(list(held)).items()} == held
        assert shop.differences() == []


def _row(n: int, body: dict[str, Any]) -> LogRow:
    key = hashlib.blake2b(f"server\0m-{n}".encode(), digest_size=16).digest()
    told = json.dumps({**body, "messageId": f"m-{n}"}).encode()
    return LogRow(n, n, KIND_EVENT, "server", 1, NOON, NOON + n * SECOND, key, told)


def test_a_husk_keeps_those_whom_a_later_forgetting_is_not_about() -> None:
    # Found by the properties above: the phone leads to the husk, which also founded the e-mail and the tablet.
    phone = {"context": {"externalIds": [{"type": "ios.idfa", "id": "phone-1"}]}}
    rows = [
        _row(1, {"type": "identify", "anonymousId": "tablet", "traits": {"email": "ana@example.org"}, **phone}),
        _row(2, {"type": "track", "event": "Viewed", "anonymousId": "kiosk", **phone}),
        _row(3, {"type": "identify", "anonymousId": "tablet", "traits": {"email": "ana@example.org"}}),
    ]
    with new_shop() as shop:
        shop.take(rows)
        before = shop.document("email:ana@example.org")
        shop.forget([1])
        shop.forget([2])

        after = shop.document("email:ana@example.org")
        assert before is not None
        assert after is not None
        assert after["id"] == before["id"]
        assert shop.differences() == []


def test_an_alias_is_judged_by_what_was_known_at_its_place() -> None:
    # Found by the properties above: folded again, the alias met a user id that came later.
    rows = [
        _row(1, {"type": "alias", "anonymousId": "tablet", "previousId": "user-ana"}),
        _row(2, {"type": "page", "anonymousId": "tablet"}),
        _row(3, {"type": "page", "userId": "user-ana"}),
    ]
    with new_shop() as shop:
        shop.take(rows)

        shop.forget([2])

        assert shop.differences() == []


ANA, EMAIL = ("user_id", USERS[0]), ("email", "ana@example.org")


def said(n: int) -> LogRow:
    return _row(n, {"type": "identify", "userId": USERS[0], "traits": {"email": "ana@example.org"}})


@pytest.mark.parametrize(
    ("forgotten", "left"),
    [([2], []), ([3], [2]), ([4], [2, 3]), ([2, 4], []), ([1, 5], [2, 3, 4])],
    ids=["cut", "undo", "undone undo", "cut and undone undo", "evidence"],
)
def test_what_undoes_a_forgotten_act_goes_with_it(forgotten: list[int], left: list[int]) -> None:
    undos = [act(number, "undo", ANA, EMAIL, of=f"act-{number - 1}") for number in (3, 4)]
    with new_shop() as shop:
        shop.take([said(1), act(2, "cut", ANA, EMAIL), *undos, said(5)])

        shop.forget(forgotten)

        assert [position for (position,) in shop.state.read("SELECT position FROM identity_act")] == left
        assert shop.differences() == []


def test_words_said_before_and_after_a_join_are_judged_apart_also_when_folded_in_one_go() -> None:
    # The evidence since a join is kept apart from that before it; folded in one go, the second was passed over.
    page = _row(5, {"type": "page", "userId": USERS[0]})
    rows = [said(1), act(2, "cut", ANA, EMAIL), act(3, "join", ANA, EMAIL), said(4), page]
    with new_shop() as shop:
        shop.take(rows)

        shop.forget([5])

        assert shop.state.read("SELECT chapter, verdict FROM link ORDER BY chapter, trust") == [
            (0, "withdrawn"),
            (2, "admitted"),  # the join itself
            (3, "admitted"),
        ]
        assert shop.differences() == []


def test_a_better_word_about_a_blocked_value_is_kept_also_when_folded_in_one_go() -> None:
    # Found by the properties above: after the later cut was forgotten, the better word was taken for the first again.
    tablet = ("anonymous_id", DEVICES["tablet"])
    body = {"type": "identify", "anonymousId": tablet[1], "traits": {"email": EMAIL[1]}}
    claimed, verified = (_row(n, body)._replace(trust=trust) for n, trust in [(1, TRUST_CLAIMED), (3, TRUST_VERIFIED)])
    with new_shop() as shop:
        shop.take([claimed, act(2, "block", EMAIL, EMAIL), verified, act(4, "cut", EMAIL, tablet)])

        shop.forget([4])

        assert shop.state.read("SELECT trust, chapter, verdict FROM link ORDER BY trust") == [
            (TRUST_CLAIMED, 0, "noted"),
            (TRUST_VERIFIED, 0, "noted"),
        ]
        assert shop.differences() == []


def test_whom_only_a_forgotten_event_still_carried_leaves_the_husk_that_founded_them_also_over_a_crash() -> None:
    with new_shop() as shop:
        shop.take([said(1), said(2)])
        shop.forget([1])
        with killed_at("tillit.flow.forget._refold", is_after=True), contextlib.suppress(Killed):
            shop.forget([2])
        shop.restart()
        shop.engine.catch_up()
        shop.keeper.catch_up()

        assert shop.find([USERS[0], "ana@example.org"]) == []
        assert shop.differences() == []


def test_identifiers_that_only_an_act_still_names_are_kept_for_it() -> None:
    with new_shop() as shop:
        shop.take([said(1), act(2, "cut", ANA, EMAIL)])
        shop.forget([1])
        assert shop.document("email:ana@example.org") is not None
        assert shop.differences() == []

        shop.forget([2])
        shop.keeper.catch_up()

        assert shop.find([USERS[0], "ana@example.org", "telephone"]) == []
        assert shop.differences() == []
