"""L1 under power cuts: the log on a disk that forgets what was not synced.

Each life of the log appends at random (alone and through the group commit), reads as the engine would, and ends when
the power goes at a random write, sync or deletion. The next life must find every acknowledged row, every row that
anyone has read, nothing that nobody sent, and no position given twice.
The last tests turn the same check against two mistakes, which it must find.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.store.forgetful_vfs import ForgetfulVfs
from tillit.errors import TillitError
from tillit.records import KIND_EVENT, TRUST_CLAIMED, LogRow, NewRow, QuarantineRow
from tillit.store import GroupCommit, Log
from tillit.store.sqlite import StoreBroken

BEGINNING = 1_770_000_000_000_000
LIVES = 6  # power cuts each disk goes through
SEEDS = range(12)


@dataclass
class Told:
    """What the outside world knows."""

    sent: dict[bytes, bytes] = field(default_factory=dict)  # message hash -> body
    sent_aside: set[bytes] = field(default_factory=set)
    acknowledged: dict[int, bytes] = field(default_factory=dict)  # position -> message hash
    acknowledged_aside: set[bytes] = field(default_factory=set)
    seen: dict[int, LogRow] = field(default_factory=dict)  # what a reader has read
    n_power_cuts: int = 0


class HastyCommit(GroupCommit):
    """Answers before the commit. Deliberately wrong."""

    async def append(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        first = self._log.head() + 1
        asyncio.ensure_future(super().append(rows, quarantine)).add_done_callback(lambda done: done.exception())
        return first, first + len(rows) - 1


class Life:
    """The log between two power cuts."""

    def __init__(self, log: Log, told: Told, chance: random.Random, commit: type[GroupCommit]) -> None:
        self.log = log
        self.told = told
        self.chance = chance
        self.clock = BEGINNING
        self.commit = commit(log, now=self.now)

    def now(self) -> int:
        self.clock += self.chance.randrange(-5_000_000, 6_000_000)  # the wall clock jumps, also back
        return self.clock

    def make(self) -> tuple[list[NewRow], list[QuarantineRow]]:
        rows = []
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 5, 70))):
            name = self.chance.randbytes(8)
            body = (
                b'{"type":"track","event":"%s"}'
                % self.chance.randbytes(self.chance.choice((4, 40, 900))).hex().encode()
            )
            key = blake2b(name, digest_size=16).digest()
            self.told.sent[key] = body
            rows.append(NewRow(KIND_EVENT, "web", TRUST_CLAIMED, self.clock, self.clock, key, body))
        aside = []
        for _ in range(self.chance.choice((0, 0, 0, 1, 3))):
            raw = self.chance.randbytes(self.chance.choice((4, 3_000)))
            self.told.sent_aside.add(raw)
            aside.append(QuarantineRow(self.clock, "web", TRUST_CLAIMED, "collect.bad", "It is bad.", None, raw))
        return rows, aside

    def keep(self, rows: list[NewRow], aside: list[QuarantineRow], first: int) -> None:
        self.told.acknowledged.update((first + i, row.message_hash) for i, row in enumerate(rows))
        self.told.acknowledged_aside.update(row.raw for row in aside)

    async def requests(self) -> None:
        for _ in range(self.chance.randrange(1, 8)):
            rows, aside = self.make()
            first, _ = await self.commit.append(rows, aside)
            self.keep(rows, aside, first)
            if self.chance.random() < 0.2:
                self.look()

    def alone(self) -> None:
        rows, aside = self.make()
        first, _ = self.log.append(rows, aside, now=self.now())
        self.keep(rows, aside, first)

    def look(self) -> None:
        after = max(0, self.log.head() - 100)
        self.told.seen.update((row.position, row) for row in self.log.read(after, 100))

    def live(self, n_rounds: int) -> None:
        with contextlib.suppress(TillitError):
            for _ in range(n_rounds):
                if self.chance.random() < 0.3:
                    self.alone()
                else:
                    asyncio.run(self._together())

    async def _together(self) -> None:
        many = [self.requests() for _ in range(self.chance.randrange(1, 6))]
        for outcome in await asyncio.gather(*many, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, TillitError):
                raise outcome

    def end(self) -> None:
        self.commit.close()
        for _ in range(3):  # each connection's last words may fail; all of them must be gone
            with contextlib.suppress(apsw.Error):
                self.log.close()


@pytest.fixture
def disk() -> Iterator[ForgetfulVfs]:
    vfs = ForgetfulVfs(f"forgetful-{random.getrandbits(64):x}")
    yield vfs
    vfs.unregister()


def find_losses(log: Log, told: Told) -> list[str]:
    """Say what the log does not hold as it must. Nothing of an event's content is named."""
    rows = {row.position: row for row in log.read(0, 1_000_000)}
    faults = []
    if sorted(rows) != list(range(1, log.head() + 1)):
        faults.append("positions have holes or go beyond the head")
    stamps = [row.logged_at for row in rows.values()]
    if any(a >= b for a, b in pairwise(stamps)):
        faults.append("logged_at does not rise")
    faults += [
        f"position {position}: acknowledged and gone or another"
        for position, key in told.acknowledged.items()
        if position not in rows or rows[position].message_hash != key
    ]
    faults += [f"position {p}: was read and is gone or another" for p, row in told.seen.items() if rows.get(p) != row]
    faults += [
        f"position {p}: nobody sent it" for p, row in rows.items() if told.sent.get(row.message_hash) != row.body
    ]
    aside: set[Any] = {raw for (raw,) in log._reader.execute("SELECT raw FROM quarantine")}
    faults += ["quarantine: acknowledged and gone"] * len(told.acknowledged_aside - aside)
    faults += ["quarantine: nobody sent it"] * len(aside - told.sent_aside)
    return faults


def survive(
    folder: Path,
    disk: ForgetfulVfs,
    seed: int,
    *,
    is_torn: bool,
    synchronous: str = "FULL",
    commit: type[GroupCommit] = GroupCommit,
) -> tuple[list[str], Told]:
    """Let one log go through several power cuts; give what it lost."""
    chance = random.Random(seed)
    told = Told()
    path = folder / "log.db"
    with contextlib.closing(Log.open(path)):
        pass  # a workspace is made in peace, and its folder with it
    for _ in range(LIVES):
        if faults := examine(path, disk, told):
            return faults, told
        log = Log.open(path, synchronous=synchronous, vfs=disk.name)
        assert log._writer is not None
        log._writer.wal_autocheckpoint(chance.choice((3, 20, 200)))  # checkpoints are where torn pages would show
        disk.off_at = disk.n_operations + int(2 ** chance.uniform(0, 9))
        life = Life(log, told, chance, commit)
        life.live(n_rounds=chance.randrange(1, 12))
        if chance.random() < 0.8:
            disk.is_off = True  # else: an orderly end, in which the power may go as well
        life.end()
        told.n_power_cuts += disk.is_off
        disk.power_off(chance if is_torn else None)
    return examine(path, disk, told), told


def examine(path: Path, disk: ForgetfulVfs, told: Told) -> list[str]:
    """Turn the machine on and look at what is there."""
    disk.power_on()
    try:
        with contextlib.closing(Log.open(path, vfs=disk.name)) as log:
            return find_losses(log, told)
    except (StoreBroken, TypeError, apsw.Error):  # pages of zeros, rows without values
        return ["the file is damaged"]


@pytest.mark.parametrize("is_torn", [False, True], ids=["unsynced writes are gone", "unsynced writes are torn"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_outlives_power_cuts(
    tmp_path: Path, disk: ForgetfulVfs, seed: int, is_torn: bool
) -> None:
    faults, told = survive(tmp_path, disk, seed, is_torn=is_torn)

    assert faults == [], f"seed {seed}"
    assert told.n_power_cuts > 0
    assert disk.n_syncs > 0


@pytest.mark.parametrize("is_torn", [False, True], ids=["gone", "torn"])
def test_the_check_finds_a_log_that_does_not_sync(tmp_path: Path, disk: ForgetfulVfs, is_torn: bool) -> None:
    found = [survive(new_folder(tmp_path, seed), disk, seed, is_torn=is_torn, synchronous="OFF") for seed in SEEDS]

    assert any(faults for faults, _ in found)


@pytest.mark.parametrize("is_torn", [False, True], ids=["gone", "torn"])
def test_the_check_finds_an_answer_before_the_commit(tmp_path: Path, disk: ForgetfulVfs, is_torn: bool) -> None:
    found = [survive(new_folder(tmp_path, seed), disk, seed, is_torn=is_torn, commit=HastyCommit) for seed in SEEDS]

    assert any("acknowledged" in fault for faults, _ in found for fault in faults)


def new_folder(parent: Path, seed: int) -> Path:
    folder = parent / str(seed)
    folder.mkdir()
    return folder
