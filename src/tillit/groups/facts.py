"""Facts about a person that other rooms must ask for before they act: deceased, a minor.

In:    a profile document's traits, an instant.
Out:   the facts, each with its evidence.
Never: a fact from nothing: None is not known. A death on a public key's word.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tillit.clock import DAY
from tillit.records import TRUST_NAMES, TRUST_SERVER

_RANK = {name: trust for trust, name in TRUST_NAMES.items()}
# As Segment's specification calls it, and as shops do.
_BIRTHDAYS = ("birthday", "birthDate", "dateOfBirth")
FACT_TRAITS = frozenset({*_BIRTHDAYS, "minor", "deceased", "deceasedAt"})
_EVIDENCE = ("source", "event_id", "at", "trust")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Trait = Mapping[str, Any]


def facts_of(traits: Mapping[str, Trait], *, at: int, adult_age: int) -> dict[str, Any]:
    """Say what is known of a person that other rooms must heed.

    Shape:  {"deceased": evidence and "deceased_at" or None, "minor": bool or None, "minor_evidence": evidence or None};
            evidence is {"source", "event_id", "at", "trust"}.
    Units:  at is UTC epoch microseconds, adult_age years.

    >>> said = {"source": "till", "event_id": "e1-1", "at": "2026-01-01T00:00:00Z", "trust": "server"}
    >>> facts_of({"birthday": {"value": "2015-06-01", **said}}, at=1_767_225_600_000_000, adult_age=18)["minor"]
    True
    """
    by_birth = _minor_by_birthday(traits, at, adult_age)
    by_word = _minor_by_word(traits)
    # A birthday ages, a word does not: of equal trust the birthday counts.
    minor, evidence = max((by_birth, by_word), key=lambda one: _rank(one[1]))
    return {
        "deceased": _deceased(traits),
        "minor": minor,
        "minor_evidence": _evidence(evidence) if evidence is not None else None,
    }


def turns_of(traits: Mapping[str, Trait], *, adult_age: int) -> set[int]:
    """Give the instants at which facts change by themselves: when somebody comes of age.

    Units: UTC epoch microseconds, adult_age years.
    """
    found = set()
    for name in _BIRTHDAYS:
        born_on = _day(traits[name]["value"]) if name in traits else None
        if born_on is not None and born_on.year + adult_age <= date.max.year:
            found.add((_birthday(born_on, born_on.year + adult_age) - _EPOCH.date()).days * DAY)
    return found


def _birthday(born_on: date, year: int) -> date:
    try:
        return born_on.replace(year=year)
    except ValueError:  # 29 February
        return date(year, 3, 1)


def _deceased(traits: Mapping[str, Trait]) -> dict[str, Any] | None:
    told = [
        (_rank(held), held["at"], name, held)
        for name in ("deceased", "deceasedAt")
        if (held := traits.get(name)) is not None and _rank(held) >= TRUST_SERVER
    ]
    said = [one for one in told if isinstance(one[3]["value"], bool if one[2] == "deceased" else str)]
    if not said:
        return None
    _, _, _, held = max(said, key=lambda one: one[:3])
    if held["value"] is False or held["value"] == "":
        return None
    instants = [one[3]["value"] for one in said if one[2] == "deceasedAt"]
    return {"deceased_at": instants[0] if instants else None, **_evidence(held)}


def _minor_by_birthday(traits: Mapping[str, Trait], at: int, adult_age: int) -> tuple[bool | None, Trait | None]:
    told = [(_rank(held), held["at"], held) for name in _BIRTHDAYS if (held := traits.get(name)) is not None]
    for _, _, held in sorted(told, key=lambda one: one[:2], reverse=True):
        born_on = _day(held["value"])
        if born_on is not None:
            return _age(born_on, (_EPOCH + timedelta(microseconds=at)).date()) < adult_age, held
    return None, None


def _minor_by_word(traits: Mapping[str, Trait]) -> tuple[bool | None, Trait | None]:
    held = traits.get("minor")
    return (held["value"], held) if held is not None and isinstance(held["value"], bool) else (None, None)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _age(born_on: date, on: date) -> int:
    """Give full years: whoever was born on 29 February is older on 1 March."""
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def _rank(held: Trait | None) -> int:
    return _RANK[held["trust"]] if held is not None else 0


def _evidence(held: Trait) -> dict[str, Any]:
    return {name: held[name] for name in _EVIDENCE}
