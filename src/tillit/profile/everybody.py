"""Everybody's traits: what strands say of a few traits, for questions about all people at once.

In:    a moment of the state; names of traits.
Out:   what each strand says, with the weight by which one strand's word is taken over another's; corrections by person.
Never: more of a strand than was asked for.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.profile.acts import Act, act_of, judge_acts
from tillit.records import TRUST_OPERATOR
from tillit.store import Reading

_ROWS = 20_000  # read at once: some 20 MB
_TEXTS = 100_000  # values of which the text is remembered: of few, most have many
_FIRST = -(1 << 62)


class ToldTrait(NamedTuple):
    """What was said of one trait. The greatest (weight, at, position) of a person's is what the profile shows."""

    identifier_id: int
    part: int
    carried: str  # what the event that said it carried of consent
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
    traits: dict[str, msgspec.Raw]
    seen: msgspec.Raw
    trait_bytes: msgspec.Raw
    months: msgspec.Raw
    n_acts: int
    carried: "dict[str, _Part]"


_decode = msgspec.msgpack.Decoder(_Part).decode
_decode_trait = msgspec.msgpack.Decoder(tuple[int, int, int, msgspec.Raw, msgspec.Raw]).decode
_decode_value = msgspec.msgpack.Decoder().decode
_write = msgspec.json.Encoder().encode


def iter_told(
    reading: Reading, names: Collection[str], ids: Sequence[int] | None = None
) -> Iterator[tuple[list[Any], ...]]:
    """Give what strands say of some traits, a block at a time, as columns (the fields of ToldTrait).

    Of every strand, or of those of some identifiers.
    """
    texts: dict[bytes, str] = {}
    for rows in _strands(reading, ids):
        said = []  # (identifier_id, part, carried), traits
        for identifier_id, part, packed in rows:
            document = _decode(packed)
            said.append((identifier_id, part, "", document.traits))
            for carried, one in document.carried.items():
                said.append((identifier_id, part, carried, one.traits))
        for name in names:
            yield from _told_of(name, said, texts)
        if len(texts) > _TEXTS:
            texts.clear()


def _strands(reading: Reading, ids: Sequence[int] | None) -> Iterator[list[tuple[Any, ...]]]:
    select = "SELECT identifier_id, part, document FROM strand"
    if ids is not None:
        for start in range(0, len(ids), _ROWS):
            yield reading.read_in(f"{select} WHERE identifier_id IN {{in}}", ids[start : start + _ROWS])
        return
    sql = f"{select} WHERE (identifier_id, part) > (?, ?) ORDER BY identifier_id, part LIMIT {_ROWS}"
    after = (_FIRST, _FIRST)
    while rows := reading.read(sql, after):
        yield rows
        after = (rows[-1][0], rows[-1][1])


def _told_of(
    name: str, said: list[tuple[int, int, str, dict[str, msgspec.Raw]]], texts: dict[bytes, str]
) -> Iterator[tuple[list[Any], ...]]:
    """Give the columns of one trait."""
    found = [one for one in said if name in one[3]]
    if not found:
        return
    ids, parts, carried, traits = zip(*found, strict=True)
    trusts, ats, positions, _, values = zip(*[_decode_trait(one[name]) for one in traits], strict=True)
    written = []
    for value in values:
        packed = bytes(value)
        text = texts.get(packed)
        if text is None:
            text = texts[packed] = _write(_decode_value(packed)).decode()
        written.append(text)
    weights = [_weight(trust) for trust in trusts]
    columns = (ids, parts, carried, [name] * len(ids), weights, ats, positions, written)
    yield tuple(map(list, columns))


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
                yield person, ToldTrait(0, 0, "", name, weight, act.event_at, act.position, _write(value).decode())


def _weight(trust: int) -> int:
    return trust * 2
