"""Everybody's traits: what strands say of a few traits, for questions about all people at once.

In:    a moment of the state; names of traits.
Out:   what each strand says, with the weight by which one strand's word is taken over another's; corrections by person.
Never: more of a strand than was asked for.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, NamedTuple, TypeAlias, TypedDict

import msgspec

from tillit.profile.acts import Act, act_of, judge_acts
from tillit.records import TRUST_OPERATOR
from tillit.store import Reading

Column: TypeAlias = "array[int] | list[str]"

_ROWS = 1_000  # read at once: of 20,000 the objects fit no cache, which takes twice as long (measured)
_BYTES = 1 << 22  # and their documents together, unless one is longer
_GIVEN = 1 << 23  # bytes of documents of which a block of columns is made: of few rows, an engine takes them slowly
_FIRST = -(1 << 62)
_TRUST_STEP = 2  # by which one trust weighs more than the one below: a correction lies between


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


class _Trait(msgspec.Struct, array_like=True, gc=False):
    """What a strand says of one trait (`strands` names the places)."""

    trust: int
    at: int
    position: int
    source: str
    value: Any


class _Unread(msgspec.Struct, gc=False):
    """A map of texts to whatever, which is stepped over: quicker than to keep its bytes."""


class _Block(NamedTuple):
    """Some strands."""

    ids: Sequence[int]
    parts: Sequence[int]
    documents: bytes  # one after the other


class _Keys(NamedTuple):
    """Of what each document is: a strand's, or of those of its events that carried something of consent."""

    ids: list[int]
    parts: list[int]
    carried: list[str]


_write = msgspec.json.Encoder().encode
_write_lines = msgspec.json.Encoder().encode_lines
_read_numbers = msgspec.json.Decoder(list[int]).decode


def iter_told(
    reading: Reading, dialect: str, names: Collection[str], ids: Sequence[int] | None = None
) -> Iterator[tuple[Column, ...]]:
    """Give what strands say of some traits, a block at a time, as columns (the fields of ToldTrait).

    Of every strand, or of those of some identifiers.
    """
    decode = _decoder_of(frozenset(names))
    told: dict[str, tuple[Any, ...]] = {}
    n_bytes = 0
    for block in _blocks(reading, dialect) if ids is None else _blocks_of(reading, ids):
        # Documents are read as one list of MessagePack: a call for each takes twice as long (measured).
        documents = decode(b"\xdd" + len(block.ids).to_bytes(4, "big") + block.documents)
        keys = _Keys(list(block.ids), list(block.parts), [""] * len(block.ids))
        traits = [document.traits for document in documents]
        for place in [place for place, document in enumerate(documents) if document.carried]:
            for carried, one in documents[place].carried.items():
                keys.ids.append(block.ids[place])
                keys.parts.append(block.parts[place])
                keys.carried.append(carried)
                traits.append(one.traits)
        for name in names:
            if any(found := [one.get(name) for one in traits]):
                columns = _columns_of(name, keys, found)
                if (so_far := told.setdefault(name, columns)) is not columns:
                    for column, more in zip(so_far, columns, strict=True):
                        column.extend(more)
        n_bytes += len(block.documents)
        if n_bytes >= _GIVEN:
            yield from told.values()
            told, n_bytes = {}, 0
    yield from told.values()


@lru_cache(maxsize=20)
def _decoder_of(names: frozenset[str]) -> Callable[[bytes], list[Any]]:
    """Make a decoder of strands' documents (`strands` names the places) that unpacks some traits and nothing else."""
    make: Any = TypedDict  # a type checker cannot follow types that are made of names
    map_of: Any = dict
    list_of: Any = list
    traits = make("Traits", dict.fromkeys(names, _Trait), total=False)
    own = [
        ("n_events", int),
        ("first_at", int | None),
        ("last_at", int | None),
        ("counts", _Unread),
        ("types", _Unread),
        ("traits", traits),
    ]
    inner = msgspec.defstruct("Inner", own, array_like=True, gc=False)  # what comes after these is not looked at
    beside = [
        ("seen", msgspec.Raw),
        ("trait_bytes", int),
        ("months", _Unread),
        ("n_acts", int),
        ("carried", map_of[str, inner]),
    ]
    whole = msgspec.defstruct("Whole", own + beside, array_like=True, gc=False)
    return msgspec.msgpack.Decoder(list_of[whole]).decode


def _blocks_of(reading: Reading, ids: Sequence[int]) -> Iterator[_Block]:
    """Give the strands of some identifiers."""
    sql = "SELECT identifier_id, part, document FROM strand WHERE identifier_id IN {in}"
    for start in range(0, len(ids), _ROWS):
        if rows := reading.read_in(sql, ids[start : start + _ROWS]):
            found, parts, documents = zip(*rows, strict=True)
            yield _Block(found, parts, b"".join(documents))


def _blocks(reading: Reading, dialect: str) -> Iterator[_Block]:
    """Give every strand."""
    later = "FROM strand WHERE (identifier_id, part) > (?, ?) ORDER BY identifier_id, part LIMIT ?"
    size = f"SELECT sum(size) FROM (SELECT length(document) AS size {later}) AS block"
    # Rows are put together by the engine: each as a tuple of Python's takes twice as long (measured).
    if dialect == "sqlite":
        texts = "group_concat(identifier_id), group_concat(part), CAST(group_concat(document, '') AS BLOB)"
    else:
        texts = "string_agg(identifier_id::text, ','), string_agg(part::text, ','), string_agg(document, ''::bytea)"
    block = f"SELECT {texts} FROM (SELECT identifier_id, part, document {later}) AS block"
    after, n_rows = (_FIRST, _FIRST), _ROWS
    while (n_bytes := reading.read(size, (*after, n_rows))[0][0]) is not None:
        if n_bytes > _BYTES and n_rows > 1:
            n_rows = max(1, min(n_rows // 2, n_rows * _BYTES // int(n_bytes)))
            continue
        told, held, documents = reading.read(block, (*after, n_rows))[0]
        ids, parts = _read_numbers(f"[{told}]"), _read_numbers(f"[{held}]")
        yield _Block(ids, parts, documents)
        after, n_rows = (ids[-1], parts[-1]), min(_ROWS, n_rows * 2)


def _columns_of(name: str, keys: _Keys, found: list[_Trait | None]) -> tuple[Column, ...]:
    """Give the columns of one trait, for those documents that say something of it."""
    said = [one for one in found if one is not None]
    values = _write_lines([one.value for one in said]).decode().removesuffix("\n")
    return (
        array("q", compress(keys.ids, found)),
        array("q", compress(keys.parts, found)),
        list(compress(keys.carried, found)),
        [name] * len(said),
        array("q", [one.trust * _TRUST_STEP for one in said]),
        array("q", [one.at for one in said]),
        array("q", [one.position for one in said]),
        values.split("\n"),  # in a JSON text there is no line break
    )


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
                weight = TRUST_OPERATOR * _TRUST_STEP + 1
                value: Any = act.traits[name]
                yield person, ToldTrait(0, 0, "", name, weight, act.event_at, act.position, _write(value).decode())
