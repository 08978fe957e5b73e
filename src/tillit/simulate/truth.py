"""The truth beside a simulated workspace: who is who, why things happened, which traps were planted.

In:    lives, what was said, who held what.
Out:   `NAME.truth.db` next to the folder NAME; its tables are in docs/explanation/simulated-shop.md.
Never: a byte inside the workspace: what is erased there must be gone there.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tillit.clock import DAY, MINUTE
from tillit.errors import InputError, NotFound
from tillit.records import message_hash
from tillit.simulate.catalogue import CAMPAIGN_DAYS, CAMPAIGNS
from tillit.simulate.lives import Life, choices_of
from tillit.simulate.seasons import NEVER
from tillit.simulate.shop import Shop, identifiers_of
from tillit.simulate.traps import KIOSK, PASSED_ON, Trap, kiosk_trap, list_traps
from tillit.simulate.visits import BOT
from tillit.simulate.voices import Held, Said
from tillit.store import SqliteState, Writing, migrations_of

_MIGRATIONS = migrations_of("tillit.simulate", room="truth", folder="migrations/truth")


class NoTruth(NotFound):
    """A workspace has no truth beside it: it was not simulated, or the file was moved."""

    code = "simulate.no-truth"

    def __init__(self, path: Path) -> None:
        """Name the file and the command that makes one."""
        super().__init__(
            f"There is no {path.name} beside the workspace. Only `tillit simulate make` writes one; make a new folder.",
            file=path.name,
        )


class TruthTaken(InputError):
    """The truth of another simulated shop lies where this one's would go."""

    code = "simulate.truth-taken"

    def __init__(self, path: Path) -> None:
        """Name the file."""
        super().__init__(
            f"{path.name} is there already, of an earlier simulated shop. Delete it or choose another folder.",
            file=path.name,
        )


class Planted(NamedTuple):
    """A trap as the truth keeps it."""

    trap_id: int
    trap: Trap


def truth_path(workspace: Path) -> Path:
    """Say where the truth of a workspace lies: next to its folder."""
    folder = workspace.resolve()
    return folder.with_name(f"{folder.name}.truth.db")


class Truth:
    """The truth file of one simulated workspace."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open it. Raises NoTruth when it is to be read and is not there."""
        if read_only and not path.exists():
            raise NoTruth(path)
        self.path = path
        # A simulated truth that a power cut took is made again from its seed.
        self._store = SqliteState(path, synchronous="OFF", read_only=read_only, cache_kb=65_536)
        if not read_only:
            self._store.migrate(_MIGRATIONS)

    @classmethod
    def begin(cls, path: Path, shop: Shop) -> "Truth":
        """Start the truth of a new shop. Raises TruthTaken."""
        if path.exists():
            raise TruthTaken(path)
        truth = cls(path)
        with truth._store.transaction() as tx:
            row = (1, shop.seed, shop.n_customers, shop.days, shop.calendar.end)
            tx.execute("INSERT INTO true_shop VALUES (?, ?, ?, ?, ?)", row)
            tx.execute("INSERT INTO true_person VALUES (?, 'bot', ?, '', 'UTC', NULL, NULL)", (BOT, BOT))
        return truth

    def shop(self) -> Shop:
        """Make the shop again whose truth this is."""
        ((seed, n_customers, days, end),) = self._store.read("SELECT seed, n_customers, days, end_at FROM true_shop")
        return Shop(seed, n_customers, end=end, days=days)

    # -- writing

    def add_events(self, events: Iterable[tuple[bytes, int]]) -> None:
        """Note whose messages were. A resend is known already."""
        with self._store.transaction() as tx:
            tx.executemany(
                "INSERT INTO true_event (message_hash, person_id) VALUES (?, ?) ON CONFLICT DO NOTHING", events
            )

    def add_said(self, said: Sequence[Said], held: Sequence[Held]) -> None:
        """Note whose messages were that went through the protocol, and what was held meanwhile."""
        self.add_events(
            (message_hash(one.source, one.message["messageId"]), one.person)
            for one in said
            if isinstance(one.message.get("messageId"), str)
        )
        with self._store.transaction() as tx:
            _add_held(tx, held)

    def add_lives(self, told: "LifeRows") -> None:
        """Note who customers are, why they leave, and what caused what."""
        with self._store.transaction() as tx:
            tx.executemany("INSERT INTO true_person VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", told.people)
            tx.executemany("INSERT INTO true_household VALUES (?, ?, ?) ON CONFLICT DO NOTHING", told.households)
            tx.executemany("INSERT INTO true_lapse VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", told.lapses)
            tx.executemany("INSERT INTO true_treatment VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", told.treatments)
            tx.executemany(
                "INSERT INTO true_effect (person_id, at, cause, cause_key, effect, effect_key, without) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                told.effects,
            )
            tx.executemany("INSERT INTO true_choice VALUES (?, ?, ?, ?, ?, ?)", told.choices)
            _add_held(tx, told.held)

    def finish(self, shop: Shop, held: Sequence[Held]) -> None:
        """Note what the whole history held: campaigns, shared things, traps."""
        calendar = shop.calendar
        with self._store.transaction() as tx:
            for campaign in CAMPAIGNS:
                sent_at = int(calendar.begin + (calendar.end - calendar.begin) * campaign.at_share) // MINUTE * MINUTE
                row = (campaign.campaign_id, campaign.subject, sent_at, sent_at + CAMPAIGN_DAYS * DAY)
                tx.execute("INSERT INTO true_campaign VALUES (?, ?, ?, ?)", row)
            _add_held(tx, held)
            traps = list_traps(shop.n_customers, shop.customer)
            kiosks: dict[str, set[int]] = {}
            for one in held:
                if one.why == "kiosk" and one.person is not None:
                    kiosks.setdefault(one.value, set()).add(one.person)
            for device, people in kiosks.items():
                traps.append(kiosk_trap(device, [shop.customer(number) for number in sorted(people)]))
            _add_traps(tx, traps)

    # -- reading

    def iter_identifiers(self) -> Iterator[tuple[str, str, int | None]]:
        """Give (namespace, value, person) of everything that was ever held."""
        yield from self._store.read("SELECT DISTINCT namespace, value, person_id FROM true_identifier")

    def people_of(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Say whose these messages are, as far as they are known."""
        sql = "SELECT message_hash, person_id FROM true_event WHERE message_hash IN {in}"
        return dict(self._store.read_in(sql, hashes))

    def list_traps(self) -> list[Planted]:
        """Give the planted traps."""
        sides: dict[int, dict[int, list[tuple[str, str]]]] = {}
        for trap_id, side, namespace, value in self._store.read(
            "SELECT trap_id, side, namespace, value FROM true_trap_identifier ORDER BY trap_id, side"
        ):
            sides.setdefault(trap_id, {}).setdefault(side, []).append((namespace, value))
        planted = []
        for trap_id, kind, expected, should in self._store.read("SELECT * FROM true_trap ORDER BY trap_id"):
            parts = {side: tuple(handles) for side, handles in sides.get(trap_id, {}).items()}
            shared = parts.pop(0, ())
            planted.append(Planted(trap_id, Trap(kind, expected, should, tuple(parts.values()), shared)))
        return planted

    def read(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Ask for anything else that the tables hold."""
        return self._store.read(sql, params)

    def close(self) -> None:
        """Let go of the file, and leave it as one file."""
        self._store.scrub()
        self._store.close()


class LifeRows(NamedTuple):
    """What lives come to in the truth, as plain rows: they travel between processes."""

    people: list[tuple[object, ...]]
    households: list[tuple[object, ...]]
    held: list[Held]
    lapses: list[tuple[object, ...]]
    effects: list[tuple[object, ...]]
    treatments: list[tuple[object, ...]]
    choices: list[tuple[object, ...]]


def rows_of(lives: Sequence[Life]) -> LifeRows:
    """Write lives down as rows."""
    rows = LifeRows([], [], [], [], [], [], [])
    for life in lives:
        person = life.customer
        language = person.language
        kind = "member" if life.member_from < NEVER else "guest"
        times = (_known(life.joined_at), _known(life.member_from))
        rows.people.append((person.number, kind, person.household, language.locale, language.timezone, *times))
        rows.households.append((person.household, person.address, language.city))
        rows.held.extend(identifiers_of(life))
        if life.lapse is not None:
            rows.lapses.append(tuple(life.lapse))
        rows.effects.extend(tuple(effect) for effect in life.effects)
        rows.choices.extend(tuple(choice) for choice in choices_of(life))
        rows.treatments.extend((one[0], one[1], *map(int, one[2:])) for one in life.treatments)
    return rows


def _known(at: int) -> int | None:
    return None if at >= NEVER else at


def _add_held(tx: Writing, held: Sequence[Held]) -> None:
    tx.executemany(
        "INSERT INTO true_identifier (namespace, value, person_id, from_at, until_at, why) VALUES (?, ?, ?, ?, ?, ?)",
        held,
    )
    # What was passed on ended with whoever had it before.
    tx.executemany(
        "UPDATE true_identifier SET until_at = ? "
        "WHERE namespace = ? AND value = ? AND person_id <> ? AND until_at IS NULL",
        [(one.from_at, one.namespace, one.value, one.person) for one in held if one.why == PASSED_ON],
    )


def _add_traps(tx: Writing, traps: Sequence[Trap]) -> None:
    tx.executemany(
        "INSERT INTO true_trap VALUES (?, ?, ?, ?)",
        [(number, trap.kind, trap.expected, trap.should) for number, trap in enumerate(traps, 1)],
    )
    rows = []
    for number, trap in enumerate(traps, 1):
        for side, handles in enumerate((trap.shared, *trap.sides)):
            rows += [(number, side, *one) for one in handles]
    tx.executemany("INSERT INTO true_trap_identifier VALUES (?, ?, ?, ?)", rows)


__all__ = ["KIOSK", "NoTruth", "Planted", "Truth", "TruthTaken", "truth_path"]
