"""Catalog: the audiences in force, made ready to be answered as events come.

In:    definitions in force; what purposes say of events that carry consent of their own.
Out:   for an event the tapes it may stand on; for a tape the audiences that hang on it; functions that answer.
Never: an audience that uses an event which its purpose may not use: such events are not on its tapes.
"""

from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from tillit.audience.definitions import AUDIENCE, Definitions, list_in_force, resolve_definitions
from tillit.language.direction import direction_of
from tillit.language.live import Answers, compile_condition, inputs_of
from tillit.language.tapes import Tape
from tillit.records import LISTED_BASES
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


class Entry(NamedTuple):
    """One audience, ready to be answered."""

    name: str
    version: int  # position of its definition in the log
    answers: Answers
    lens: Lens
    tapes: Mapping[int, int]  # tape id in the definition -> id under which it is stored
    hangs_on_traits: bool
    hangs_on_permissions: bool


def lens_of(basis: str, categories: tuple[str, ...]) -> Lens:
    """Give the lens of a purpose: None when it may use events whatever they carry."""
    return (basis, categories) if basis in LISTED_BASES else None


def stored_id(tape: Tape, lens: Lens) -> int:
    """Give the id under which a tape is stored: the same content is the same tape."""
    if lens is None:
        return tape.tape_id
    digest = blake2b(f"{tape.tape_id} {lens!r}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


class Catalog:
    """The audiences in force under one set of definitions and purposes."""

    def __init__(self, definitions: Definitions, lenses: Lenses) -> None:
        """Make everything ready."""
        self.definitions = definitions
        self.entries: dict[str, Entry] = {}
        self.tapes: dict[int, Kept] = {}
        # By stored id, the audiences to judge when an event came onto a tape: of a member, and of somebody else.
        self.of_member: dict[int, list[str]] = {}
        self.of_others: dict[int, list[str]] = {}
        self.broken = dict(definitions.broken)
        for name, defined in definitions.audiences.items():
            lens = lenses(defined.audience.purpose)
            inputs = inputs_of(defined.node)
            ids = {}
            direction = direction_of(defined.node)
            for tape in inputs.tapes:
                kept = Kept(stored_id(tape, lens), tape, lens)
                self.tapes[kept.stored_id] = kept
                ids[tape.tape_id] = kept.stored_id
                if tape not in direction.rising:
                    self.of_member.setdefault(kept.stored_id, []).append(name)
                if tape not in direction.falling:
                    self.of_others.setdefault(kept.stored_id, []).append(name)
            self.entries[name] = Entry(
                name,
                defined.position,
                compile_condition(defined.node),
                lens,
                ids,
                bool(inputs.traits),
                bool(inputs.purposes),
            )
        self.by_trait = [one.name for one in self.entries.values() if one.hangs_on_traits]
        self.by_permission = [one.name for one in self.entries.values() if one.hangs_on_permissions]
        self._of_name: dict[tuple[str, Any], tuple[Kept, ...]] = {}

    @property
    def names(self) -> set[str]:
        """Give the audiences in force, also those that cannot be answered."""
        broken = (one.removeprefix(f"{AUDIENCE} ") for one in self.broken if one.startswith(f"{AUDIENCE} "))
        return {*self.entries, *broken}

    def kept_of(self, kind: str, name: Any) -> tuple[Kept, ...]:
        """Give the tapes on which an event of a type and name may stand."""
        key = (kind, name) if type(name) is str else (kind, None)
        found = self._of_name.get(key)
        if found is None:
            if len(self._of_name) > _MOST_NAMES:
                self._of_name.clear()
            found = self._of_name[key] = tuple(
                kept for kept in self.tapes.values() if _takes(kept.tape.matcher.type, kept.tape.matcher.names, *key)
            )
        return found

    def to_judge(self, tapes: Collection[int], member_of: Collection[str]) -> set[str]:
        """Give the audiences whose answer may be another one after events came onto some tapes of a person."""
        found = {name for one in tapes for name in self.of_member.get(one, ()) if name in member_of}
        found.update(name for one in tapes for name in self.of_others.get(one, ()) if name not in member_of)
        return found


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
