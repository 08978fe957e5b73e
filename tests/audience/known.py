"""What a slow reading of the log knows of a few people, as the third reading of audiences wants it.

In:    rows of the log that name some identifiers; the purposes in force.
Out:   `World`: by identifier, whoever has it, with all that is theirs and with what is left of it for ads.
Never: a line of the product's own reading of who is who, of traits, or of what somebody chose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests import audience_model, model
from tests.consent_model import may
from tests.language_cases import AUDIENCES, FEATURES
from tests.model import Key, read_world
from tillit.consent import Declared
from tillit.records import LogRow

SERVICE, ADS = "service", "ads"
ASKED = ("newsletter", "analytics")  # what `permitted` asks for
REFUSED = {"consent": {"categoryPreferences": {"Ads": False}}}
FOREVER = 1 << 62
ABOUT_A_PLACE = ("kind", "member", "role", "since", "until")


class Known(NamedTuple):
    """What the third reading knows of one person: all that is theirs, and what is left of it for ads."""

    profile_id: str
    by_purpose: dict[str, audience_model.Person]

    @property
    def events(self) -> tuple[audience_model.Event, ...]:
        return self.by_purpose[SERVICE].events


World = dict[Key, Known]


def read_known(rows: list[LogRow], declared: Declared) -> World:
    """Read who is who among those whom rows name, and what is known of each."""
    people = read_world(rows).people
    each = {person.keys: person for person in people.values()}
    known = {keys: _known(person, declared) for keys, person in each.items()}
    together = {keys: _with_groups(keys, each, known) for keys in known}
    return {key: together[person.keys] for key, person in people.items()}


def _with_groups(
    keys: frozenset[Key], each: dict[frozenset[Key], model.Person], known: dict[frozenset[Key], Known]
) -> Known:
    """Put the groups beside somebody, with who else belongs to them."""
    by_purpose = {}
    for purpose, person in known[keys].by_purpose.items():
        groups = []
        for group in sorted({model.group_of(one) for one in each[keys].own} - {""}):
            places = {other: _place(one.own, group) for other, one in each.items()}
            others = tuple(
                place._replace(who=known[other].by_purpose[purpose])
                for other, place in places.items()
                if other != keys and place is not None
            )
            mine = places[keys]
            if mine is not None:
                heard = [
                    one.own for other, one in each.items() if purpose in known[other].by_purpose[purpose].permitted
                ]
                groups.append((audience_model.Group(group, _traits_of_group(heard, group), others), mine))
        by_purpose[purpose] = person._replace(groups=tuple(groups), seen_for=purpose)
    return Known(known[keys].profile_id, by_purpose)


def _place(own: Iterable[model.Told], group: str) -> audience_model.Belonging | None:
    """Say from when until when somebody belongs to a group, and as what: by the newest, back to when they left last."""
    role, since, until = None, None, None
    said = model.ranked([one for one in own if model.group_of(one) == group])[::-1]
    for place, one in enumerate(said):
        traits = one.body["traits"]
        if traits.get("member") is False:
            if place == 0:
                return None
            break
        role = traits["role"] or "" if role is None and "role" in traits else role
        since = since or traits.get("since")
        until = until or traits.get("until")
    if not said:
        return None
    begins = audience_model.instant(since) if since else 0
    ends = audience_model.instant(until) if until else FOREVER
    assert begins is not None
    assert ends is not None
    return audience_model.Belonging(None, role or None, begins, ends)


def _traits_of_group(heard: Iterable[Iterable[model.Told]], group: str) -> dict[str, Any]:
    said = model.ranked([one for own in heard for one in own if model.group_of(one) == group])
    found: dict[str, Any] = {}
    for one in said:
        found |= {name: value for name, value in one.body["traits"].items() if name not in ABOUT_A_PLACE}
    return found


def _known(person: model.Person, declared: Declared) -> Known:
    profile_id = person.document["id"]
    # Nothing that is chosen here ends by itself.
    permitted = {name: FOREVER for name in (*ASKED, ADS) if may(declared, name, person, at=FOREVER, joined_at=0)}
    permitted[SERVICE] = FOREVER  # what a contract needs hangs on nobody's choice
    # What carries a refusal is nothing to ads.
    events = {SERVICE: person.own, ADS: [one for one in person.own if not _is_refused(one.body)]}
    return Known(
        profile_id,
        {
            purpose: audience_model.Person(
                profile_id, tuple(_event(one) for one in own), _traits_of(own), permitted, AUDIENCES, FEATURES
            )
            for purpose, own in events.items()
        },
    )


def _is_refused(body: dict[str, Any]) -> bool:
    return "consent" in body.get("context", {}) and body["context"]["consent"] == REFUSED["consent"]


def together_with(lost: Known, found: Known) -> Known:
    """Give somebody who came back as they would be, had nothing been erased."""
    both = {
        purpose: person._replace(
            events=lost.by_purpose[purpose].events + person.events,
            traits={**lost.by_purpose[purpose].traits, **person.traits},
        )
        for purpose, person in found.by_purpose.items()
    }
    return Known(found.profile_id, both)


def _event(one: model.Told) -> audience_model.Event:
    body = one.body
    name = body.get("event") if body["type"] == "track" else body.get("name")
    properties = body.get("properties") or {}
    return audience_model.Event(one.row.event_at, one.row.position, body["type"], name, properties, one.row.received_at)


def _traits_of(own: list[model.Told]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in model.ranked([one for one in own if one.body["type"] == "identify"]):
        found |= model.traits_of(one)
    return {name: value for name, value in found.items() if value is not None}
