"""What leaves, as people read it: how a destination is, what became of a delivery and why, the last hour as a line.

In:    standings, counts, deliveries and attempts; codes of gates and of recipients.
Out:   views: words, numbers, points of a line.
Never: a personal value; a word of a recipient's, which may hold one.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.console.purposes import withheld_words
from tillit.deliver import MESSAGE, PEOPLE_RECORD, REMOVED, Delivery
from tillit.profile import NOT_REACHED
from tillit.records import Membership
from tillit.workspace import HowItIs, Workspace, words_of

_OF_PERSON = 8  # messages on the page of a customer
_WIDTH, _HEIGHT = 240, 36  # units of the drawing, not of the screen
STATES = {
    "waiting": ("waits", "quiet"),
    "claimed": ("on its way", "quiet"),
    "delivered": ("arrived", "ok"),
    "unchanged": ("nothing new to tell", "never-heard"),
    "withheld": ("not sent", "quiet"),
    "refused": ("refused by the recipient", "bad"),
    "dead": ("given up", "bad"),
    "unknown": ("nobody knows", "bad"),
}
OUTCOMES = {
    "": "under way, or broken off",
    "delivered": "taken",
    "refused": "refused for good",
    "later": "not now",
    "halted": "nothing can be sent there",
    "unknown": "it may have been taken",
    "stopped": "called back before anything left",
}
RECORD_STATES = {
    "pending": "on its way",
    "acknowledged": "there",
    "rejected": "refused",
    "removing": "being removed",
    "removed": "removed",
}
PAUSED = "operator"  # why a destination is held that a colleague holds
MENDABLE = ("refused", "dead", "unknown")  # what may be replayed
SUPPRESSED = {
    "hard_bounce": "the address was refused for good",
    "complaint": "they reported a message as unwanted",
    "unsubscribe": "they unsubscribed",
    "deceased": "they have died",
    "erased": "they asked to be forgotten",
    "operator": "a colleague says so",
}
_SMTP = re.compile(r"smtp\.(\d{3})(?:-(\d\.\d+\.\d+))?")
_HTTP = re.compile(r"http\.(\d{3})")


def why(code: str) -> str:
    """Say in words why something did not arrive; empty for no code."""
    if found := _HTTP.fullmatch(code):
        n = int(found[1])
        phrase = HTTPStatus(n).phrase if n in HTTPStatus.__members__.values() else ""
        return f"The recipient answered {n}{f' ({phrase})' if phrase else ''}."
    if found := _SMTP.fullmatch(code):
        return f"The mail server answered {' '.join(filter(None, found.groups()))}."
    return words_of(code) or (f"The destination answered {code}." if code else "")


class Spark(NamedTuple):
    """The last hour, minute by minute."""

    line: str  # points of an SVG polyline
    area: str
    failed: list[tuple[float, float, float]]  # x, y, how tall: minutes in which something was not taken
    width: int
    height: int
    n_arrived: int
    n_failed: int
    rows: list[tuple[str, int, int]]  # instant, arrived, not taken: minutes in which anything ended, newest first


class DestinationView(NamedTuple):
    """One destination, in one line."""

    name: str
    title: str
    kind: str
    send: str
    purpose: str
    party: str
    health: str  # ok, quiet, bad, never-heard
    words: str
    more: str
    at: str  # since or until when; empty: no instant belongs to it
    counts: list[tuple[str, str, int]]  # state, words, n
    n_waiting: int
    records: list[tuple[str, int]]
    spark: Spark | None
    is_paused: bool


def destination_view(one: HowItIs, *, now: int, colleague: Callable[[str], str]) -> DestinationView:
    """Say how a destination is."""
    told = one.told
    health, words, more, at = _health(one, now, colleague)
    return DestinationView(
        told.destination,
        told.title or told.destination,
        told.kind,
        told.send,
        told.purpose,
        told.party,
        health,
        words,
        more,
        rfc3339(at) if at else "",
        [(state, words, one.counts[state]) for state, (words, _) in STATES.items() if one.counts.get(state)],
        one.counts.get("waiting", 0) + one.counts.get("claimed", 0),
        [(words, one.records[state]) for state, words in RECORD_STATES.items() if one.records.get(state)],
        _spark(one, now),
        one.standing.paused_at is not None,
    )


def _health(one: HowItIs, now: int, colleague: Callable[[str], str]) -> tuple[str, str, str, int]:
    standing = one.standing
    if one.told.retired:
        return "never-heard", "retired", "Nothing more goes there; who is there is taken back.", 0
    if standing.paused_at is not None:
        by = f"{colleague(standing.paused_by)} holds it." if standing.pause_code == PAUSED else why(standing.pause_code)
        return "bad", "paused", by, standing.paused_at
    if standing.resting_until > now:
        return "quiet", "resting", f"{standing.n_failed:,} tries in a row failed. {why(standing.fail_code)}", (
            standing.resting_until
        )  # fmt: skip
    if standing.n_failed:
        return "quiet", "failing", why(standing.fail_code), standing.failed_at or 0
    if standing.delivered_at is None:
        return "never-heard", "nothing was sent yet", "", 0
    return "ok", "well", "", standing.delivered_at


def _spark(one: HowItIs, now: int) -> Spark | None:
    n_arrived, n_failed = (sum(minute[i] for minute in one.minutes) for i in (0, 1))
    if not n_arrived + n_failed:
        return None
    most = max(max(minute) for minute in one.minutes)
    step = _WIDTH / (len(one.minutes) - 1)
    places = [(i * step, _HEIGHT - n * (_HEIGHT - 2) / most) for i, (n, _) in enumerate(one.minutes)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    tall = [(i * step, n * (_HEIGHT - 2) / most) for i, (_, n) in enumerate(one.minutes) if n]
    first = now // 60_000_000 + 1 - len(one.minutes)
    rows = [(rfc3339((first + i) * 60_000_000), *minute) for i, minute in enumerate(one.minutes) if any(minute)]
    return Spark(
        line,
        f"0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}",
        [(round(x, 1), round(_HEIGHT - y, 1), round(y, 1)) for x, y in tall],
        _WIDTH,
        _HEIGHT,
        n_arrived,
        n_failed,
        rows[::-1],
    )


class DeliveryView(NamedTuple):
    """One delivery, in one line."""

    key: str
    what: str  # the template of a message; else what kind of thing it is
    destination: str
    purpose: str
    subject_ref: str
    state: str
    words: str
    health: str
    reason: str
    code: str
    at: str  # when it was made
    ended_at: str
    due_at: str
    n_attempts: int
    is_again: bool


def delivery_view(one: Delivery) -> DeliveryView:
    """Say what became of a delivery."""
    words, health = STATES[one.state]
    return DeliveryView(
        one.key,
        one.template or {"event": "an event", "record": "a copy of a person"}.get(one.kind, one.kind),
        one.destination,
        one.purpose,
        one.subject_ref,
        one.state,
        words,
        health,
        why(one.code),
        one.code,
        rfc3339(one.created_at),
        rfc3339(one.ended_at) if one.ended_at is not None else "",
        rfc3339(one.due_at) if one.state == "waiting" else "",
        one.n_attempts,
        one.is_again,
    )


def failure_rows(failures: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Give what did not arrive, by reason, the most first."""
    return [
        {
            "state": state,
            "words": STATES[state][0],
            "health": STATES[state][1],
            "code": code,
            "reason": why(code),
            "n": n,
            "may_replay": state in MENDABLE,
        }
        for state, code, n in failures
    ]


def changed_text(before: str, after: str) -> list[tuple[str, str]]:
    """Give the lines that differ between two definitions: (come, gone or same, text)."""
    marks = {"+": "come", "-": "gone"}
    return [
        (marks.get(line[0], "same"), line[1:])
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]


def history_rows(history: Sequence[Any]) -> list[dict[str, Any]]:
    """Give every version of one definition, newest first, with what changed in it."""
    return [
        {
            "position": one.position,
            "at": rfc3339(one.event_at),
            "operator": one.operator,
            "reason": one.reason,
            "text": one.text,
            "changes": changed_text(older.text, one.text) if older is not None else [],
        }
        for one, older in zip(history, [*history[1:], None], strict=True)
    ]


def unshown_fields(document: Mapping[str, Any], allows: Callable[[str], bool], fields: Sequence[str]) -> list[str]:
    """Name those of some fields that a page's own purpose withholds of a person."""
    withheld = {one["field"] for one in document["withheld"]}
    return [one for one in fields if "*" in withheld or one in withheld or not allows(one)]


def missing_words(
    document: Mapping[str, Any], fields: Sequence[str], words: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Name fields that are withheld of a person, each with the reason."""
    told = {one["field"]: one["reason"] for one in document["withheld"]}
    reasons = [{"field": one, "reason": told.get(one) or told.get("*") or NOT_REACHED} for one in fields]
    return withheld_words(reasons, words)


def messages_card(workspace: Workspace, membership: Membership | None) -> dict[str, Any]:
    """Give what stands on the card of what was sent to a person, what was not, and who has data of them."""
    if membership is None:
        return {"sent": [], "held": [], "n_events_held": 0}
    sent, held = workspace.deliveries.views.about(membership, kind=MESSAGE, limit=_OF_PERSON)
    people = [one for one in held if one.kind == PEOPLE_RECORD]
    return {
        "sent": [delivery_view(one) for one in sent],
        "held": [
            (one.destination, RECORD_STATES.get(one.state, one.state), why(one.code), rfc3339(one.changed_at))
            for one in people
        ],
        "n_events_held": sum(one.kind != PEOPLE_RECORD and one.state != REMOVED for one in held),
    }
