"""Catalog: the audiences in force, made ready to be answered as events come.

In:    definitions in force; what purposes say of events that carry consent of their own.
Out:   for an event the tapes it may stand on; for a tape the audiences that hang on it; functions that answer.
Never: an audience that uses an event which its purpose may not use: such events are not on its tapes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple, TypeGuard

from tillit.audience.beside import Beside
from tillit.audience.definitions import AUDIENCE, Definitions, list_in_force, resolve_definitions
from tillit.language.live import inputs_of
from tillit.language.nodes import AllClauses, Clause, Path, PropertyTest, Ranked
from tillit.language.ranks import Scores, compile_score
from tillit.language.sharing import SharedAnswers, Sharing
from tillit.language.tapes import Document, Tape, entries_of, value_key
from tillit.language.turns import may_hold_of_nobody, needed_by, turns_of
from tillit.language.values import at_path
from tillit.records import LISTED_BASES, carried_allows
from tillit.store import Reading

# Categories of consent that stand for a purpose: an event that says of itself what it may be used for must give them.
Lens = tuple[str, tuple[str, ...]] | None
Lenses = Callable[[str], Lens]  # by the purpose's name
_MOST_NAMES = 20_000


class Kept(NamedTuple):
    """A tape as it is stored: events that the purposes it is for may use."""

    stored_id: int
    tape: Tape
    lens: Lens
    is_plain: bool  # every event of its names stands on it, with nothing but its place
    where: Clause | None  # what is still to be asked of an event that `Takers` gave it for
    entry: Callable[[int, int, Any], list[Any] | None]  # what it keeps of an event: at, position, properties


class Entry(NamedTuple):
    """One audience, ready to be answered."""

    name: str
    version: int  # position of its definition in the log
    meaning: str  # a digest of the definition with all that it names: what is named has versions of its own
    answers: SharedAnswers
    lens: Lens
    tapes: Mapping[int, int]  # tape id in the definition -> id under which it is stored
    traits: Collection[str]  # names of those that it hangs on
    hangs_on_permissions: bool
    hangs_on_groups: bool


class Bounds(NamedTuple):
    """Tapes that want a number beyond a bound, in the order of their bounds."""

    bounds: tuple[float, ...]
    tapes: tuple[Kept, ...]


class Takers(NamedTuple):
    """Tapes on which events of a name may stand: some in any case, others by the value of a property."""

    always: tuple[Kept, ...]
    by_value: tuple[tuple[Path, Mapping[str, tuple[Kept, ...]]], ...]
    by_number: tuple[tuple[Path, Mapping[str, Bounds]], ...]  # by what is asked of the number: greater, at_least, ...

    def of(self, properties: Any) -> Sequence[Kept]:
        """Give those that an event with these properties may stand on, each once."""
        found = list(self.always)
        for path, tapes in self.by_value:
            value = at_path(properties, path)
            if type(value) is list:
                met = {key: None for one in value if (key := _key(one)) is not None}
                found += dict.fromkeys(kept for key in met for kept in tapes.get(key, ()))
            elif (key := _key(value)) is not None:
                found += tapes.get(key, ())
        for path, asked in self.by_number:
            value = at_path(properties, path)
            numbers = [one for one in (value if type(value) is list else (value,)) if type(one) in (int, float)]
            if numbers:
                least, most = float(min(numbers)), float(max(numbers))
                for op, (bounds, kept) in asked.items():
                    if op == "greater":
                        found += kept[: bisect_left(bounds, most)]
                    elif op == "at_least":
                        found += kept[: bisect_right(bounds, most)]
                    elif op == "less":
                        found += kept[bisect_right(bounds, least) :]
                    else:
                        found += kept[bisect_left(bounds, least) :]
        return found


def _key(value: Any) -> str | None:
    return value_key(value) if isinstance(value, bool | int | float | str) else None


def lens_of(basis: str, categories: Iterable[str]) -> Lens:
    """Give the lens of a purpose: None when it may use events whatever they carry."""
    return (basis, tuple(sorted(categories))) if basis in LISTED_BASES else None


def lens_allows(lens: Lens, carried: str) -> bool:
    """Say whether what an event carried of consent lets it be seen through a lens."""
    return lens is None or not carried or carried_allows(carried, *lens)


def stored_id(tape: Tape, lens: Lens) -> int:
    """Give the id under which a tape is stored: the same content is the same tape."""
    if lens is None:
        return tape.tape_id
    digest = blake2b(f"{tape.tape_id} {lens!r}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


class RankedEntry(NamedTuple):
    """One audience that ranks everybody, ready to be judged at ticks."""

    entry: Entry
    node: Ranked
    scores: Scores


class Catalog:
    """The audiences in force under one set of definitions and purposes."""

    def __init__(self, definitions: Definitions, lenses: Lenses) -> None:
        """Make everything ready."""
        self.definitions = definitions
        self.entries: dict[str, Entry] = {}
        self.ranked: dict[str, RankedEntry] = {}
        self.tapes: dict[int, Kept] = {}
        self.broken = dict(definitions.broken)
        sharing = Sharing()
        for name, defined in definitions.audiences.items():
            lens = lenses(defined.audience.purpose)
            inputs = inputs_of(defined.node)
            ids = {}
            for tape in inputs.tapes:
                kept = _kept(tape, lens)
                self.tapes[kept.stored_id] = kept
                ids[tape.tape_id] = kept.stored_id
            entry = Entry(
                name,
                defined.position,
                blake2b(repr(defined.node).encode(), digest_size=8).hexdigest(),
                sharing.compile(defined.node.of if isinstance(defined.node, Ranked) else defined.node, lens),
                lens,
                ids,
                inputs.traits,
                bool(inputs.purposes),
                bool(inputs.groups),
            )
            if isinstance(defined.node, Ranked):
                self.ranked[name] = RankedEntry(entry, defined.node, compile_score(defined.node))
            else:
                self.entries[name] = entry
        # What hangs on each tape, by the id under which it is stored. No event moves who is ranked: a tick does.
        told = {name: (definitions.audiences[name].node, entry.tapes) for name, entry in self.entries.items()}
        self.turns = turns_of(told)
        # What hangs on the other members of a group.
        self.beside = Beside(told)
        # Who may be in it who did nothing yet.
        self.of_nobody = [name for name in self.entries if may_hold_of_nobody(definitions.audiences[name].node)]
        # Of what nobody is in it who has nothing there; None: one may be in it without any event.
        self._needing: dict[int | None, list[str]] = {}
        for entry in self.entries.values():
            needed = needed_by(definitions.audiences[entry.name].node)
            for tape_id in (None,) if needed is None else {entry.tapes[one.tape_id] for one in needed}:
                self._needing.setdefault(tape_id, []).append(entry.name)
        every = [*self.entries.values(), *(one.entry for one in self.ranked.values())]
        self.by_trait: dict[str, set[str]] = {}
        for entry in every:
            for trait in entry.traits:
                self.by_trait.setdefault(trait, set()).add(entry.name)
        self.by_permission = [one.name for one in every if one.hangs_on_permissions]
        self.by_group = [one.name for one in every if one.hangs_on_groups]
        self._of_name: dict[tuple[str, Any], Takers] = {}

    @property
    def names(self) -> set[str]:
        """Give the audiences in force, also those that cannot be answered."""
        broken = (one.removeprefix(f"{AUDIENCE} ") for one in self.broken if one.startswith(f"{AUDIENCE} "))
        return {*self.entries, *self.ranked, *broken}

    @property
    def has_any(self) -> bool:
        """Say whether anybody is to be judged by any."""
        return bool(self.entries or self.ranked)

    def takers_of(self, kind: str, name: Any) -> Takers:
        """Give the tapes on which an event of a type and name may stand."""
        key = (kind, name) if type(name) is str else (kind, None)
        found = self._of_name.get(key)
        if found is None:
            if len(self._of_name) > _MOST_NAMES:
                self._of_name.clear()
            found = self._of_name[key] = _takers(
                kept for kept in self.tapes.values() if _takes(kept.tape.matcher.type, kept.tape.matcher.names, *key)
            )
        return found

    def to_judge(
        self,
        came: Mapping[int, Sequence[list[Any]]],
        documents: Callable[[int], Sequence[Document]],
        member_of: Collection[str],
        at: int,
    ) -> set[str]:
        """Give the audiences whose answer may be another one after events came onto some tapes of a person.

        `came`: by stored id, what was not there before.
        """
        found: set[str] = set()
        for tape_id, entries in came.items():
            hanging = self.turns.get(tape_id)
            if hanging is not None:
                found |= hanging.find(entries, tape_id, documents, member_of, at)
        return found

    def may_hold(self, tapes: Collection[int]) -> set[str]:
        """Give the audiences that somebody may be in of whom something stands on some tapes; of others they are not."""
        found = set(self._needing.get(None, ()))
        found.update(*(self._needing[one] for one in tapes if one in self._needing))
        return found

    def of_traits(self, names: Collection[str] | None, tapes: Collection[int]) -> set[str]:
        """Give those of the audiences that somebody may be in that hang on some traits; None: on any."""
        hanging = set[str]().union(*(self.by_trait.get(one, ()) for one in (self.by_trait if names is None else names)))
        return hanging & self.may_hold(tapes) if hanging else hanging


def _kept(tape: Tape, lens: Lens) -> Kept:
    is_whole = tape.matcher.where is None and tape.from_at is None and tape.until_at is None
    where = None if _is_found(tape.matcher.where) else tape.matcher.where
    is_plain = is_whole and not tape.paths and lens is None
    return Kept(stored_id(tape, lens), tape, lens, is_plain, where, entries_of(tape))


def _takers(tapes: Iterable[Kept]) -> Takers:
    always: list[Kept] = []
    by_path: dict[Path, dict[str, list[Kept]]] = {}
    by_number: dict[Path, dict[str, list[tuple[float, int, Kept]]]] = {}
    for kept in tapes:
        where = kept.tape.matcher.where
        wanted = _values_of(where)
        if wanted is not None:
            path, keys = wanted
            for key in keys:
                by_path.setdefault(path, {}).setdefault(key, []).append(kept)
        elif _asks_one(where, _BEYOND):
            test = where.tests[0]
            by_number.setdefault(where.path, {}).setdefault(test.op, []).append((test.value, kept.stored_id, kept))
        else:
            always.append(kept)
    return Takers(
        tuple(always),
        tuple((path, {key: tuple(one) for key, one in by.items()}) for path, by in by_path.items()),
        tuple((path, {op: _bounds(told) for op, told in by.items()}) for path, by in by_number.items()),
    )


def _bounds(told: list[tuple[float, int, Kept]]) -> Bounds:
    in_order = sorted(told, key=itemgetter(0, 1))
    return Bounds(tuple(bound for bound, _, _ in in_order), tuple(kept for _, _, kept in in_order))


def _values_of(where: Clause | None) -> tuple[Path, set[str]] | None:
    """Give a property and the values of which it must have one for a clause to hold; None when there is none."""
    match where:
        case AllClauses(parts):
            return next((told for one in parts if (told := _values_of(one)) is not None), None)
        case PropertyTest(path, tests):
            for test in tests:
                if test.op == "equals":
                    return path, {value_key(test.value)}
                if test.op == "one_of":
                    return path, {value_key(one) for one in test.value}
    return None


_VALUES = ("equals", "one_of")
_BEYOND = ("greater", "at_least", "less", "at_most")


def _asks_one(where: Clause | None, ops: Collection[str]) -> TypeGuard[PropertyTest]:
    """Say whether a clause asks one thing of one property, and nothing else."""
    return isinstance(where, PropertyTest) and len(where.tests) == 1 and where.tests[0].op in ops


def _is_found(where: Clause | None) -> bool:
    """Say whether a clause asks for nothing but that by which its tape is found."""
    return _asks_one(where, _VALUES) or _asks_one(where, _BEYOND)


def _takes(wanted: str, names: Collection[str], kind: str, name: Any) -> bool:
    if kind not in ("track", "page", "screen") or wanted not in (kind, "*"):
        return False
    return not names or name in names


_EMPTY = Catalog(Definitions({}, {}, {}), lambda _: None)
_known: dict[tuple[Any, ...], Catalog] = {}
_MOST_KNOWN = 4


def read_catalog(reading: Reading, lenses: Lenses, purposes: str) -> Catalog:
    """Give the catalog of the definitions in force. `purposes`: a text that is another one when lenses are."""
    applied = list_in_force(reading)
    if not applied:
        return _EMPTY
    key = (purposes, *((one.kind, one.position, one.name, one.text) for one in applied))
    found = _known.get(key)
    if found is None:
        while len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        found = _known[key] = Catalog(resolve_definitions(applied), lenses)
    return found
