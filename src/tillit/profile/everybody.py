"""Everybody's traits: what strands say of a few traits, for questions about all people at once.

In:    a moment of the state; names of traits.
Out:   what each strand says, with the weight by which one strand's word is taken over another's; corrections by person.
Never: more of a strand than was asked for.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from tillit.profile.acts import Act, act_of, judge_acts
from tillit.records import TRUST_OPERATOR
from tillit.store import Reading

_ROWS = 20_000  # read at once: some 20 MB
_FIRST = -(1 << 62)


class ToldTrait(NamedTuple):
    """What was said of one trait. The greatest (weight, at, position) of a person's is what the profile shows."""

    identifier_id: int
    part: int
    name: str
    weight: int  # of its trust
    at: int  # UTC epoch microseconds
    position: int
    value: str  # JSON; null takes a trait back


class _Part(msgspec.Struct, array_like=True, gc=False):
    """A strand's document (`strands` names the places), of which only the traits are unpacked."""

    n_events: msgspec.Raw
    first_at: msgspec.Raw
    last_at: msgspec.Raw
    counts: msgspec.Raw
    types: msgspec.Raw
    traits: dict[str, tuple[int, int, int, str, msgspec.Raw]]
    seen: msgspec.Raw
    trait_bytes: msgspec.Raw
    months: msgspec.Raw
    n_acts: int
    carried: "dict[str, _Part]"


_decode = msgspec.msgpack.Decoder(_Part).decode
_decode_value = msgspec.msgpack.Decoder().decode
_write = msgspec.json.Encoder().encode


def iter_told(
    reading: Reading, names: Collection[str], allows: Callable[[str], bool] = lambda _: True
) -> Iterator[list[ToldTrait]]:
    """Give what every strand says of some traits, a block at a time, as far as what events carried allows."""
    wanted = frozenset(names)
    sql = (
        "SELECT identifier_id, part, document FROM strand WHERE (identifier_id, part) > (?, ?) "
        f"ORDER BY identifier_id, part LIMIT {_ROWS}"
    )
    after = (_FIRST, _FIRST)
    while rows := reading.read(sql, after):
        found: list[ToldTrait] = []
        for identifier_id, part, packed in rows:
            document = _decode(packed)
            for carried, one in (("", document), *document.carried.items()):
                if not allows(carried):
                    continue
                for name in wanted & one.traits.keys():
                    trust, at, position, _, value = one.traits[name]
                    written = _write(_decode_value(value)).decode()
                    found.append(ToldTrait(identifier_id, part, name, _weight(trust), at, position, written))
        yield found
        after = (rows[-1][0], rows[-1][1])


def load_all_acts(reading: Reading) -> list[tuple[int, int, Act]]:
    """Read what colleagues said of anybody: (identifier_id, part, act)."""
    rows = reading.read("SELECT identifier_id, part, position, event_at, document FROM operator_act")
    return [(identifier_id, part, act_of(*act)) for identifier_id, part, *act in rows]


def corrections_of(acts: Mapping[int, Iterable[Act]], names: Collection[str]) -> Iterator[tuple[int, ToldTrait]]:
    """Give the corrections that stand of some traits, by whoever they are about."""
    for person, said in acts.items():
        for name, act in judge_acts(list(said)).corrections.items():
            if name in names:
                # A colleague knows better than what was claimed or sent, and less than what the customer proved.
                weight = _weight(TRUST_OPERATOR) + 1
                value: Any = act.traits[name]
                yield person, ToldTrait(0, 0, name, weight, act.event_at, act.position, _write(value).decode())


def _weight(trust: int) -> int:
    return trust * 2
