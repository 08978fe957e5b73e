"""A second reading of what may be done with somebody's data: slow, plain, and from the raw events.

In:    what the model of identity (`tests/model.py`) says is one person's; purposes.
Out:   whether each may use the person's data at an instant.
Never: a line of the product's own reading; a short cut.

Whatever was said by or of the person counts, each word for the identifier that its event is about. A yes counts when it
can be told from anybody's word. A no ends when a later yes takes it back; nothing else ends it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.model import Key, Person, Told
from tillit.clock import instant
from tillit.consent import Declared, Purpose
from tillit.records import TRUST_CLAIMED, TRUST_SERVER

DEVICES = {"anonymous_id", "ios.idfa"}
YES, NO = {"given", "renewed"}, {"refused", "withdrawn", "expired", "revoked", "invalidated", "objected"}
SILENT = {"unknown", "requested", "deferred"}
ACT = "Consent Updated"
WRITTEN = "consent"  # what a colleague wrote down; here without channels or ends


class Word(NamedTuple):
    """One thing that was said."""

    about: str
    is_yes: bool
    who: Key
    trust: int
    said_at: int
    heard: tuple[int, int]  # received_at, position
    is_act: bool
    is_proved: bool
    channels: frozenset[str] = frozenset()
    until: int | None = None


def words_of(person: Person) -> list[Word]:
    """Everything that was said of what a person's data may be used for."""
    told = [word for one in person.own for word in words_in(one)]
    carried = [word for word in told if word.is_yes and not word.is_act]
    # Of what events carry along, the last yes of a kind is remembered; every no is.
    latest = {(word.who, word.about): word for word in sorted(carried, key=lambda one: (one.said_at, one.heard))}
    return [word for word in told if word not in carried] + list(latest.values())


def words_in(one: Told) -> list[Word]:
    row, body, who = one.row, one.body, one.keys[0]
    context = body.get("context") or {}
    written = body["statements"] if body["type"] == WRITTEN else []
    is_act = bool(written) or (body["type"] == "track" and body.get("event") == ACT)

    def word(about: str, *, is_yes: bool, **more: Any) -> Word:
        told = {"is_act": is_act, "is_proved": is_act and who in one.proved, **more}
        at = min(row.event_at, row.received_at)
        return Word(about, is_yes, who, row.trust, at, (row.received_at, row.position), **told)

    found = [
        word(f"category:{name}", is_yes=is_yes)
        for name, is_yes in carried(context.get("consent"), context.get("consentManagement")).items()
    ]
    if context.get("gpc") is True:
        found.append(word("gpc", is_yes=False, is_act=False, is_proved=False))
    found += [word(each["purpose"], is_yes=each["state"] in YES) for each in written if each["state"] not in SILENT]
    properties = body.get("properties") or {}
    for about, state in (properties.get("purposes") or {}).items() if is_act else ():
        if state in SILENT if isinstance(state, str) else False:
            continue
        is_yes = state is True or (isinstance(state, str) and state in YES)
        channels, until = properties.get("channels"), properties.get("valid_until")
        if is_yes and not (channels is None or isinstance(channels, list)):
            continue
        if is_yes and until is not None and instant(until) is None:
            continue
        listed = frozenset(channels) if isinstance(channels, list) else frozenset[str]()
        found.append(word(about, is_yes=is_yes, channels=listed, until=instant(until) if until else None))
    return found


def carried(preferences: Any, managed: Any) -> dict[str, bool]:
    """What an event carries of categories: what is not true is not given."""
    found: dict[str, bool] = {}
    if isinstance(preferences, dict) and isinstance(preferences.get("categoryPreferences"), dict):
        found = {name: value is True for name, value in preferences["categoryPreferences"].items()}
    for field, is_given in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        listed = managed.get(field) if isinstance(managed, dict) else None
        for name in listed if isinstance(listed, list) else []:
            found[name] = is_given and found.get(name, True)
    return found


def may(declared: Declared, name: str, person: Person, *, at: int, joined_at: int) -> bool:
    """Whether a purpose may use a person's data: by some channel, where channels were spoken of."""
    purpose = declared.purposes[name]
    about = {name, *(f"category:{one}" for one in purpose.categories), *purpose.signals}
    said = [word for word in words_of(person) if word.about in about and (word.about != "gpc" or not word.is_yes)]
    named = {channel for word in said for channel in word.channels}
    ways = (purpose.channels or [*named, "another"]) if named else ["any"]
    return any(
        may_by(purpose, name, person, [w for w in said if not w.channels or way in w.channels], at, joined_at)
        for way in ways
    )


def may_by(purpose: Purpose, name: str, person: Person, said: list[Word], at: int, joined_at: int) -> bool:
    yeses = [word for word in said if word.is_yes and counts(purpose, person, word, at)]
    refusals = [word for word in said if not word.is_yes]
    if purpose.basis == "legitimate_interest":
        return all(any(takes_back(yes, no, name, joined_at) for yes in yeses) for no in refusals)

    def agrees(some: list[Word]) -> bool:
        """Whether these yeses together are one to the purpose, whatever anybody else said."""
        if any(yes.about == name and all(takes_back(yes, no, name, joined_at) for no in refusals) for yes in some):
            return True
        parts = [f"category:{category}" for category in purpose.categories]
        return bool(parts) and all(
            any(
                yes.about == part
                and all(
                    takes_back(yes, no, name, joined_at) for no in refusals if no.about == part or no.about not in parts
                )
                for yes in some
            )
            for part in parts
        )

    everybody = {yes.who for yes in yeses}
    selves = {key for key in person.keys if key[0] == "user_id"}
    by = {who: agrees([yes for yes in yeses if yes.who == who]) for who in everybody | selves}
    if len(selves) < 2:
        return any(by.values())
    since = [yes for yes in yeses if yes.is_proved and yes.heard[1] > joined_at]
    return all(by[who] for who in selves) or any(agrees([y for y in since if y.who == who]) for who in everybody)


def counts(purpose: Purpose, person: Person, yes: Word, at: int) -> bool:
    """Whether a yes can be told from anybody's word, was confirmed where it must be, and has not ended."""
    is_known = any(key[0] not in DEVICES for key in person.keys)
    if is_known and not yes.is_proved and (yes.who[0] in DEVICES or yes.trust == TRUST_CLAIMED):
        return False
    if purpose.confirm and not yes.is_proved:
        return False
    lasts = purpose.valid_us
    return not (yes.until is not None and yes.until <= at) and not (lasts is not None and yes.said_at + lasts <= at)


def takes_back(yes: Word, no: Word, name: str, joined_at: int) -> bool:
    """Whether a yes ends a no: later by both clocks; to the same thing; an act where that was one; from that hand.

    With a proof from any, once they are one person.
    """
    is_later = yes.said_at > no.said_at and yes.heard > no.heard
    is_about_it = yes.about in (no.about, name)
    is_as_strong = yes.is_act or not no.is_act
    is_theirs = yes.who == no.who and (yes.is_proved or not yes.trust < TRUST_SERVER <= no.trust)
    is_proof = yes.is_proved and yes.heard[1] > joined_at
    return is_later and is_about_it and is_as_strong and (is_theirs or is_proof)
