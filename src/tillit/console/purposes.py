"""Purposes as people read them: the ground, who gets data, whom each may reach, what changed between two versions.

In:    purposes in force, their history, counts of people, answers to single questions.
Out:   views: words, shares, small drawings as numbers.
Never: a decision of its own; a value of anybody.
"""

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tillit.clock import MINUTE, rfc3339
from tillit.consent import Notice, Policy, PolicyInvalid, Purpose, read_policy, write_policy
from tillit.privacy import LastSweep
from tillit.workspace import Outlook

MOST_COUNTED = 2_000  # people of one count: about a second
_COUNTED_EVERY = 5 * MINUTE
_WIDTH, _HEIGHT = 240, 36

BASES = {
    "consent": ("consent", "GDPR, article 6(1)(a)"),
    "contract": ("a contract with the person", "GDPR, article 6(1)(b)"),
    "legal_obligation": ("a legal duty", "GDPR, article 6(1)(c)"),
    "vital_interests": ("somebody's life", "GDPR, article 6(1)(d)"),
    "public_task": ("a public task", "GDPR, article 6(1)(e)"),
    "legitimate_interest": ("a legitimate interest, until the person objects", "GDPR, article 6(1)(f)"),
}
WITHHELD = {
    "not_declared_for_purpose": "the purpose does not reach it",
    "refused_when_collected": "the person's choice did not allow it when it was collected",
    "retention_over": "it is older than the purpose keeps data",
}


class TrendBar(NamedTuple):
    """One week of a drawing."""

    x: float
    yes_y: float
    yes_tall: float
    no_tall: float
    label: str


class Trend(NamedTuple):
    """Yes above the line, no below it, week by week."""

    bars: list[TrendBar]
    width: int
    height: int
    line: float
    n_yes: int
    n_no: int
    rows: list[tuple[str, int, int]]  # weeks in which something was said, newest first


class PurposeView(NamedTuple):
    """One purpose."""

    name: str
    told: Purpose
    ground: str
    article: str
    reach: list[str]  # empty: all
    recipients: list[tuple[str, str, str]]  # name, role, country
    elsewhere: list[tuple[str, str]]  # jurisdiction, what is otherwise there
    permitted: int
    of_everybody: int | None  # permitted, where the other counts are of some
    refused: int
    silent: int
    shares: tuple[float, float, float]
    reasons: list[tuple[str, int]]
    trend: Trend | None


class May(NamedTuple):
    """Whether one purpose may use one person's data."""

    name: str
    title: str
    is_permitted: bool
    reason: str
    words: str  # why, as a sentence
    event_id: str  # of the statement that decides; empty: none does
    since: str  # when that was said
    whose_word: str
    evidence: str
    notice: str
    until: str
    has_notice: bool


class Counted:
    """Counts of people, made anew when they are old or the purposes are others."""

    def __init__(self, tally: Callable[..., dict[str, Any]], *, now: Callable[[], int]) -> None:
        """Count with `tally`."""
        self._tally = tally
        self._now = now
        self._lock = threading.Lock()
        self._found: dict[str, Any] | None = None
        self._at = 0

    def find(self, policy: str) -> dict[str, Any]:
        """Give counts under the purposes of this hash, at most some minutes old."""
        with self._lock:
            is_old = self._now() - self._at >= _COUNTED_EVERY
            if self._found is None or is_old or self._found["policy"] != policy:
                self._at = self._now()
                self._found = self._tally(most=MOST_COUNTED)
            return self._found

    def clear(self) -> None:
        """Count anew when somebody looks next: something was changed here."""
        with self._lock:
            self._found = None


def due_by_purpose(told: Outlook, last: LastSweep | None) -> dict[str, Any]:
    """Say for how many events each purpose's time is over, and when the last sweep was.

    Shape: {"policy", "purposes": {name: n}, "is_whole", "swept_at"}.
    """
    counts: dict[str, int] = {}
    for month in told.months:
        for name in month.purposes:
            counts[name] = counts.get(name, 0) + month.n_events
    swept_at = rfc3339(last.swept_at) if last is not None else None
    return {"policy": told.policy, "purposes": counts, "is_whole": told.is_whole, "swept_at": swept_at}


def purpose_views(policy: Policy, purposes: Mapping[str, Purpose], counted: Mapping[str, Any]) -> list[PurposeView]:
    """Give all purposes, in the order in which they are written."""
    return [_purpose(name, told, policy, counted) for name, told in purposes.items()]


def _purpose(name: str, told: Purpose, policy: Policy, counted: Mapping[str, Any]) -> PurposeView:
    ground, article = BASES[told.basis]
    found = counted["purposes"].get(name, {"permitted": 0, "refused": 0, "silent": 0, "reasons": {}, "weeks": []})
    n = max(found["permitted"] + found["refused"] + found["silent"], 1)
    kinds = ("permitted", "refused", "silent")
    recipients = [(name, policy.recipients[name]) for name in told.recipients]
    return PurposeView(
        name,
        told,
        ground,
        article,
        [] if told.fields == "all" else list(told.fields),
        [(one.name, one.role.replace("_", " "), one.country) for _, one in recipients],
        [(place, _otherwise(one.basis, one.signals, one.minors)) for place, one in told.jurisdictions.items()],
        found["permitted"],
        counted["everybody"].get(name),
        found["refused"],
        found["silent"],
        (_share(found[kinds[0]], n), _share(found[kinds[1]], n), _share(found[kinds[2]], n)),
        sorted(found["reasons"].items(), key=lambda one: (-one[1], one[0])),
        draw_trend(counted["weeks"], found["weeks"]),
    )


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


def _otherwise(basis: str | None, signals: Sequence[str] | None, minors: str | None) -> str:
    told = [
        *([f"on the ground of {BASES[basis][0]}"] if basis else []),
        *([f"refused by {', '.join(signals)}"] if signals else []),
        *([f"minors: {minors}"] if minors else []),
    ]
    return "; ".join(told) or "as everywhere"


def draw_trend(weeks: Sequence[str], counts: Sequence[Sequence[int]]) -> Trend | None:
    """Draw yes and no by week; None when nobody said anything."""
    n_yes, n_no = sum(yes for yes, _ in counts), sum(no for _, no in counts)
    if not n_yes + n_no:
        return None
    most_yes, most_no = max(yes for yes, _ in counts), max(no for _, no in counts)
    unit = (_HEIGHT - 1) / (most_yes + most_no)
    line = most_yes * unit
    slot = _WIDTH / len(counts)
    bars = [
        TrendBar(round(i * slot, 2), round(line - yes * unit, 2), round(yes * unit, 2), round(no * unit, 2),
                 f"week of {week}: {yes:,} yes, {no:,} no")
        for i, (week, (yes, no)) in enumerate(zip(weeks, counts, strict=True))
        if yes or no
    ]  # fmt: skip
    rows = [(week, yes, no) for week, (yes, no) in zip(weeks, counts, strict=True) if yes or no]
    return Trend(bars, _WIDTH, _HEIGHT, round(line, 2), n_yes, n_no, rows[::-1])


def changed_purposes(before: str, after: str) -> list[tuple[str, str]]:
    """Give the lines that differ between two definitions, each written out whole: (come, gone or same, text)."""
    old, new = (_whole(text) for text in (before, after))
    marks = {"+": "come", "-": "gone"}
    return [
        (marks.get(line[0], "same"), line[1:])
        for line in difflib.unified_diff(old, new, lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]


def _whole(text: str) -> list[str]:
    try:
        return write_policy(read_policy(text)).splitlines()
    except PolicyInvalid:  # by what an earlier version took
        return text.splitlines()


_SPEAKERS = {"self": "their own word", "staff": "a colleague's word", "import": "an import"}


def may_views(state: Mapping[str, Any], purposes: Mapping[str, Purpose]) -> list[May]:
    """Give what may be done with one person's data, purpose by purpose, and on whose word."""
    said = {one["event_id"]: one for one in reversed(state["statements"])}
    return [_may(one, said.get(one["record"]), purposes) for one in state["purposes"]]


def _may(one: Mapping[str, Any], said: Mapping[str, Any] | None, purposes: Mapping[str, Purpose]) -> May:
    ground = BASES.get(one["basis"] or "", ("", ""))[0]
    whose, evidence = "", ""
    if said is not None:
        whose = _SPEAKERS.get(said["by"], f"the word of the {said['by']}")
        whose += ", proved" if said["proved"] else f", {said['trust']}" if said["trust"] != "operator" else ""
        evidence = said["evidence"] or ""
    told = purposes.get(one["purpose"])
    return May(
        one["purpose"],
        one["title"],
        one["permitted"],
        one["reason"] or "",
        f"On the ground of {ground}." if one["permitted"] else str(one["words"] or one["reason"]),
        one["record"] or "",
        said["said_at"] if said is not None else "",
        whose,
        evidence,
        one["notice"] or "",
        one["until"] or "",
        bool(told is not None and told.notice),
    )


def answer_words(found: Mapping[str, Any], title: str, day: str) -> str:
    """Say the answer to one question as a sentence."""
    if found["permitted"]:
        ground = BASES[found["basis"]][0] if found["basis"] in BASES else found["basis"]
        return f"Yes: on {day} this person's data may be used for {title}, on the ground of {ground}."
    return f"No: on {day} this person's data may not be used for {title}. {found['words'] or found['reason']}"


def withheld_words(withheld: Sequence[Mapping[str, str]], words: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name what is withheld and why, everything as one line."""
    told = [("everything" if one["field"] == "*" else one["field"], one["reason"]) for one in withheld]
    return [(field, WITHHELD.get(reason) or words.get(reason, reason)) for field, reason in told]


class NoticeView(NamedTuple):
    """One notice, with what it said before."""

    name: str
    told: Notice
    purposes: list[str]
    earlier: list[tuple[Notice, str]]  # and until when it was in force


def notice_views(policy: Policy, history: Sequence[Mapping[str, Any]]) -> list[NoticeView]:
    """Give all notices with their earlier versions, newest first, as the history of purposes tells them."""
    views = []
    past = [(one, _policy(one["text"])) for one in history]
    for name, told in policy.notices.items():
        seen = {(told.version, told.text_hash)}
        earlier = []
        for newer, (_, version) in zip(history, past[1:], strict=False):
            was = version.notices.get(name) if version is not None else None
            if was is not None and (was.version, was.text_hash) not in seen:
                seen.add((was.version, was.text_hash))
                earlier.append((was, newer["at"] or ""))
        users = [purpose.title for purpose in policy.purposes.values() if purpose.notice == name]
        views.append(NoticeView(name, told, users, earlier))
    return views


def _policy(text: str) -> Policy | None:
    try:
        return read_policy(text).policy
    except PolicyInvalid:
        return None
