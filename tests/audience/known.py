"""What a slow reading of the log knows of a few people, as the third reading of audiences wants it.

In:    rows of the log that name some identifiers; the purposes in force.
Out:   `World`: by identifier, whoever has it, with all that is theirs and with what is left of it for ads.
Never: a line of the product's own reading of who is who, of traits, or of what somebody chose.
"""

from __future__ import annotations

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
    known: dict[frozenset[Key], Known] = {}
    found: World = {}
    for key, person in read_world(rows).people.items():
        if person.keys not in known:
            known[person.keys] = _known(person, declared)
        found[key] = known[person.keys]
    return found


def _known(person: model.Person, declared: Declared) -> Known:
    profile_id = person.document["id"]
    # Nothing that is chosen here ends by itself.
    permitted = {name: FOREVER for name in ASKED if may(declared, name, person, at=FOREVER, joined_at=0)}
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
