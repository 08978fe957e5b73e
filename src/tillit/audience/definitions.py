"""Definitions: audiences and features, as people write them, as the log keeps them, as they are in force.

In:    YAML of one audience or one feature; log rows of definitions.
Out:   `Audience`, `Feature`; log rows; rows of audience_definition.
Never: an edit. A definition that is applied again under its name is its new version; older ones stay to be compared.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.language.groups import for_purpose
from tillit.language.inlining import Unresolved, inline
from tillit.language.nodes import AllOf, Condition, InAudience, Not, Ranked, Sample, Value
from tillit.language.reading import LanguageInvalid, read_condition, read_value
from tillit.records import KIND_DEFINITION, TRUST_OPERATOR, LogRow, NewRow, NotReadable, message_hash, read_yaml
from tillit.store import Reading, Writing

AUDIENCE, FEATURE = "audience", "feature"
KINDS = (FEATURE, AUDIENCE)
SOURCE = "definition"
_LONGEST_REASON = 500
_LONGEST_TEXT = 100_000
_MOST_BEFORE = 50  # audiences that one comes after
_TAKEN = ("changes", "preview")  # what stands in an address where an audience's name does
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")

Known = TypeVar("Known", "Audience", "Feature")


class AudienceInvalid(InputError):
    """An audience or a feature cannot be read, or says what cannot be."""

    code = "audience.definition-invalid"

    def __init__(self, where: str, why: str) -> None:
        """Name the definition and the place in it, and say what is wrong."""
        super().__init__(f"{where}: {why}", where=where)


class Holdout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of everybody that is kept out of an audience, drawn once. The same salt draws the same people."""

    share: float | str
    salt: str = ""  # empty: the audience's name


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which people. Grain: one per name and version."""

    audience: str  # its name
    purpose: str  # for which its members are used
    definition: Any
    title: str = ""
    description: str = ""
    after: tuple[str, ...] = ()  # audiences whose members are not in this one
    holdout: float | str | Holdout | None = None  # a share of everybody that is left alone
    retired: bool = False  # nobody is in it any more


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value of each person. Grain: one per name and version."""

    feature: str  # its name
    purpose: str
    definition: Any
    title: str = ""
    description: str = ""
    retired: bool = False


class Applied(NamedTuple):
    """A definition as somebody applied it. Grain: one per definition in the log."""

    position: int
    kind: str
    name: str
    text: str
    operator: str
    reason: str
    event_at: int  # UTC epoch microseconds


class _Said(msgspec.Struct):
    kind: str
    name: str = ""
    text: str = ""
    operator: str = ""
    reason: str = ""


@lru_cache(maxsize=4_000)
def read_audience(text: str) -> tuple[Audience, Condition]:
    """Read one audience, and who is in it: with whom `after` and `holdout` leave out.

    Raises AudienceInvalid. What it names is looked for by whoever holds the others.
    """
    told = _read(text, AUDIENCE, Audience)
    if told.audience in _TAKEN:
        raise AudienceInvalid(f"Audience {told.audience!r}", "addresses of the API use this word. Choose another name.")
    return told, _definition(told.audience, AUDIENCE, lambda: condition_of(told))


def condition_of(told: Audience) -> Condition:
    """Give who is in an audience: whom its definition holds of, without those before it and those held out.

    Raises: LanguageInvalid.
    """
    said = read_condition(told.definition)
    parts = [Not(InAudience(one)) for one in _before(told)]
    held = _held_out(told) if told.holdout is not None else None
    if isinstance(said, Ranked):
        # Those before it are not ranked; whoever is held out has their place, so that the others do not move up.
        return said._replace(of=_joined(said.of, parts), held=held)
    return _joined(said, parts if held is None else [*parts, Not(held)])


def _joined(said: Condition, parts: list[Not]) -> Condition:
    if not parts:
        return said
    return AllOf((*(said.all_of if isinstance(said, AllOf) else (said,)), *parts))


def _before(told: Audience) -> tuple[str, ...]:
    for one in told.after:
        if not _NAME.fullmatch(one):
            raise LanguageInvalid("after", "wants the names of other audiences.")
    if len(told.after) > _MOST_BEFORE:
        raise LanguageInvalid("after", f"names over {_MOST_BEFORE} audiences.")
    return tuple(dict.fromkeys(told.after))


def _held_out(told: Audience) -> Sample:
    holdout = told.holdout if isinstance(told.holdout, Holdout) else Holdout(share=told.holdout or 0.0)
    sample = read_condition({"sample": {"salt": holdout.salt or told.audience, "share": holdout.share}}, "holdout")
    assert isinstance(sample, Sample)
    if sample.until_share >= 1:
        raise LanguageInvalid("holdout", "would leave nobody in it: wants a share below 1, as 5% or 0.05.")
    return sample


def held_out_of(defined: "Defined") -> Condition | None:
    """Give the condition of those who would be in an audience and are held out; None: nobody is."""
    node = defined.node
    if isinstance(node, Ranked):
        return None if node.held is None else node._replace(held=Sample(node.held.salt, node.held.until_share, 1.0))
    if defined.audience.holdout is None or not isinstance(node, AllOf) or not isinstance(node.all_of[-1], Not):
        return None
    return AllOf((*node.all_of[:-1], node.all_of[-1].condition))


@lru_cache(maxsize=1_000)
def read_feature(text: str) -> tuple[Feature, Value]:
    """Read one feature. Raises AudienceInvalid."""
    told = _read(text, FEATURE, Feature)
    return told, _definition(told.feature, FEATURE, lambda: read_value(told.definition))


def _definition(name: str, kind: str, read: Any) -> Any:
    try:
        return read()
    except LanguageInvalid as exc:
        raise AudienceInvalid(f"{kind.capitalize()} {name!r}", exc.message) from None


def _read(text: str, kind: str, struct: type[Known]) -> Known:
    where = f"This {kind}"
    if len(text) > _LONGEST_TEXT:
        raise AudienceInvalid(where, f"it has {len(text):,} characters; at most {_LONGEST_TEXT:,} are taken.")
    try:
        told = read_yaml(text)
    except NotReadable as exc:
        raise AudienceInvalid(where, f"it is {exc}") from None
    name = told.get(kind) if isinstance(told, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AudienceInvalid(
            where, f"`{kind}:` must be its name: small letters, digits and hyphens, at most 63, a letter first."
        )
    try:
        return msgspec.convert(told, struct)
    except msgspec.ValidationError as exc:
        raise AudienceInvalid(f"{kind.capitalize()} {name!r}", f"{exc}.") from None


# -- in the log


def definition_row(kind: str, name: str, text: str, *, operator: str, reason: str, message_id: str, now: int) -> NewRow:
    """Write a definition for the log; whoever calls has read it.

    Units: now is UTC epoch microseconds.
    """
    kept = reason.strip().replace("\0", "")[:_LONGEST_REASON]
    told = {
        "kind": kind,
        "name": name,
        "text": text,
        "operator": operator,
        "reason": kept,
        "timestamp": rfc3339(now),
    }
    digest = message_hash(SOURCE, message_id)
    return NewRow(KIND_DEFINITION, SOURCE, TRUST_OPERATOR, now, now, digest, msgspec.json.encode(told))


def keep_definition_of(tx: Writing, row: LogRow) -> bool:
    """Note an audience or a feature that somebody applied; say whether the row was one."""
    if row.kind != KIND_DEFINITION or not row.body:
        return False
    said = msgspec.json.decode(row.body, type=_Said)
    if said.kind not in KINDS:
        return False
    tx.execute(
        "INSERT INTO audience_definition (position, kind, name, text, operator, reason, event_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (position) DO NOTHING",
        (row.position, said.kind, said.name, said.text, said.operator, said.reason, row.event_at),
    )
    return True


_COLUMNS = "position, kind, name, text, operator, reason, event_at"


def list_applied(reading: Reading, kind: str, name: str = "") -> list[Applied]:
    """Give every definition of a kind that was ever applied, newest first; with a name, of that one."""
    rows = reading.read(
        f"SELECT {_COLUMNS} FROM audience_definition WHERE kind = ? AND (? = '' OR name = ?) ORDER BY position DESC",
        (kind, name, name),
    )
    return [Applied(*row) for row in rows]


def list_in_force(reading: Reading) -> list[Applied]:
    """Give the newest of each name, by kind and name."""
    rows = reading.read(
        f"SELECT {_COLUMNS} FROM audience_definition d WHERE position = (SELECT max(e.position) "
        "FROM audience_definition e WHERE e.kind = d.kind AND e.name = d.name) ORDER BY kind, name"
    )
    return [Applied(*row) for row in rows]


class Defined(NamedTuple):
    """One audience in force."""

    position: int  # of its definition in the log: its version
    audience: Audience
    said: Condition  # as it was written, with the names of others
    node: Condition  # with what these others say in their place


class DefinedFeature(NamedTuple):
    """One feature in force."""

    position: int
    feature: Feature
    said: Value
    node: Value


class Definitions(NamedTuple):
    """The audiences and features in force, by name; retired ones are not among them."""

    audiences: Mapping[str, Defined]
    features: Mapping[str, DefinedFeature]
    broken: Mapping[str, str]  # audiences and features that cannot be answered, with the reason


def resolve_definitions(applied: list[Applied]) -> Definitions:
    """Put what definitions name in the place of the names. What cannot be read or resolved is told as broken."""
    audiences: dict[str, tuple[int, Audience, Condition]] = {}
    features: dict[str, tuple[int, Feature, Value]] = {}
    broken: dict[str, str] = {}
    for one in applied:
        try:
            if one.kind == AUDIENCE:
                audience, condition = read_audience(one.text)
                if not audience.retired:
                    audiences[one.name] = one.position, audience, condition
            else:
                feature, value = read_feature(one.text)
                if not feature.retired:
                    features[one.name] = one.position, feature, value
        except AudienceInvalid as exc:
            broken[f"{one.kind} {one.name}"] = exc.message
    conditions = {name: told[2] for name, told in audiences.items()}
    values = {name: told[2] for name, told in features.items()}
    whole: dict[str, Defined] = {}
    valued: dict[str, DefinedFeature] = {}
    for name, (position, audience, said) in audiences.items():
        try:
            _hold_purposes(audience, {one: told[1] for one, told in audiences.items()})
            node = for_purpose(inline(said, conditions, values, within=(name,)), audience.purpose)
            whole[name] = Defined(position, audience, said, node)
        except Unresolved as exc:
            broken[f"{AUDIENCE} {name}"] = exc.message
    for name, (position, feature, value) in features.items():
        try:
            valued[name] = DefinedFeature(
                position, feature, value, inline(value, conditions, values, within=(f"{name} ",))
            )
        except Unresolved as exc:
            broken[f"{FEATURE} {name}"] = exc.message
    return Definitions(whole, valued, broken)


def _hold_purposes(audience: Audience, others: Mapping[str, Audience]) -> None:
    # What a purpose may not use is not seen through it: under two purposes somebody could be in both.
    for one in audience.after:
        if one in others and others[one].purpose != audience.purpose:
            raise Unresolved(
                f"It comes after {one!r}, which is for another purpose ({others[one].purpose}): they may use different "
                f"events, so nobody could promise that nobody is in both. Give both one purpose."
            )
