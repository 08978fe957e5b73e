"""One event as it lies in the log beside what the fold understood of it.

In:    a log row; a quarantined event.
Out:   the JSON line by line with what the door stamped marked; identifiers as they count, or why they do not.
Never: a personal value without a scope; another reading than the fold's.
"""

import re
from typing import Any, NamedTuple

import msgspec

from tillit.clock import SECOND, instant, rfc3339
from tillit.collect.advice import Advice, advice_for
from tillit.collect.quarantine import Quarantined
from tillit.console.ties import DecisionView, decision_view
from tillit.console.views import EventView, event_views, read_decision, read_place
from tillit.identity import Said, find_earlier_use, list_said, read_event
from tillit.records import KIND_EVENT, TRUST_NAMES, LogRow, Scope
from tillit.workspace import Workspace

_STAMPED = frozenset({"receivedAt", "originalTimestamp", "timestamp", "clock", "proof"})
_STAMPED_IN_CONTEXT = frozenset({"ip", "bot"})
_KEY = re.compile(r'^( *)"((?:[^"\\]|\\.)*)":')
_LONGEST_RAW = 100_000
FATES = {
    "": "Applied: it counts in a profile.",
    "duplicate": "A repeat: the same message was applied before, so this one changed nothing.",
    "conflict": "Not applied: another body came first under this messageId, and what came first stays.",
    "quarantined": "Set aside: it is in the log and in the lake, but belongs to nobody.",
    "forgotten": "Forgotten: its content was erased; only its place is left.",
}
_STANDS = "It stands: who is who is judged under it, for what came before it and for what comes after."
_UNDONE = "It was taken back since: it is as if it had never been."
TRUSTS = {
    "claimed": "claimed: a public key sent it, so anybody could have; it joins no two known people",
    "server": "server: a secret key or a file",
    "operator": "operator: a named colleague",
    "verified": "verified: the customer proved it",
}


class Line(NamedTuple):
    """One line of pretty JSON."""

    text: str
    is_stamped: bool  # the door wrote it


class Understood(NamedTuple):
    """One event, raw and understood."""

    view: EventView
    lines: list[Line]
    message_id: str
    received_at: str
    original_at: str
    skew: str  # empty: the sender's clock was not judged
    clock: str
    trust: str
    trust_told: str
    bot: str
    identifiers: list[Said]
    proof_told: str  # what its identity token came to; empty: it had none
    decision: DecisionView | None  # what a colleague decided about who is who
    fate_told: str
    code: str
    is_waiting: bool  # the fold has yet to come to it


class RefusedDetail(NamedTuple):
    """One event that was turned away, with its bytes."""

    number: int
    at: str
    source: str
    trust: str
    code: str
    reason: str
    advice: Advice
    message_id: str
    raw: str
    is_cut: bool
    n_bytes: int
    event_id: str  # where it is in the log since its replay; empty: it waits


def row_of(workspace: Workspace, event_id: str) -> LogRow | None:
    """Give the log row of an event, or None when there is none by that id."""
    position = read_place(workspace, event_id)
    if position is None or position > workspace.log.head():
        return None
    row = workspace.folding.rows([position]).get(position)
    return row if row is not None and row.kind == KIND_EVENT else None


def understand(workspace: Workspace, row: LogRow, scope: Scope) -> Understood | None:
    """Give one event raw and understood, or None when the scope does not reach it."""
    reached = workspace.events.reached([row], scope)
    if not reached:
        return None
    row, position = reached[0], row.position
    view = event_views(workspace, [row], scope)[0]
    _, code = workspace.events.fates(position, position).get(position, ("", ""))
    document = _document(row)
    trust = TRUST_NAMES.get(row.trust, str(row.trust))
    bot = document.get("context", {}).get("bot", {}) if isinstance(document.get("context"), dict) else {}
    is_waiting = position > workspace.folding.position()
    told = read_decision(workspace, row, view.type, scope)
    decision = decision_view(told, position) if told is not None else None
    return Understood(
        view=view,
        lines=mark_lines(row.body),
        message_id=str(document.get("messageId", "")),
        received_at=rfc3339(row.received_at),
        original_at=_text(document.get("originalTimestamp")),
        skew=_skew(document, row),
        clock=_text(document.get("clock")),
        trust=trust,
        trust_told=TRUSTS.get(trust, trust),
        bot=_text(bot.get("kind")) if isinstance(bot, dict) and bot.get("is_bot") is True else "",
        identifiers=_identifiers(workspace, row),
        proof_told="" if is_waiting else _proof_told(workspace, row, document),
        decision=decision,
        fate_told="It waits to be applied." if is_waiting else _fate_told(view.fate, decision),
        code=code,
        is_waiting=is_waiting,
    )


def _fate_told(fate: str, decision: DecisionView | None) -> str:
    if decision is None:
        return FATES.get(fate, fate)
    return _STANDS if decision.stands else _UNDONE


def refused_detail(workspace: Workspace, one: Quarantined) -> RefusedDetail:
    """Give one event that was turned away, with its bytes as text."""
    return RefusedDetail(
        number=one.quarantine_id,
        at=rfc3339(one.received_at),
        source=one.source,
        trust=TRUST_NAMES.get(one.trust, str(one.trust)),
        code=one.code,
        reason=one.reason,
        advice=advice_for(one.code),
        message_id=one.message_id or "",
        raw=one.raw[:_LONGEST_RAW].decode("utf-8", "replace"),
        is_cut=len(one.raw) > _LONGEST_RAW,
        n_bytes=len(one.raw),
        event_id=f"e{workspace.log.epoch()}-{one.replayed_position}" if one.replayed_position is not None else "",
    )


def mark_lines(body: bytes | None) -> list[Line]:
    """Write a body as pretty JSON, line by line; what the door wrote is marked."""
    if not body:
        return []
    lines: list[Line] = []
    stamped_depth: int | None = None
    is_in_context = False
    for text in msgspec.json.format(body, indent=2).decode("utf-8", "replace").split("\n"):
        depth = len(text) - len(text.lstrip(" "))
        found = _KEY.match(text)
        if depth == 2 and found:
            is_in_context = found[2] == "context"
        if stamped_depth is not None and depth <= stamped_depth and text.strip()[:1] not in ("}", "]"):
            stamped_depth = None
        if found and (
            (depth == 2 and found[2] in _STAMPED) or (depth == 4 and is_in_context and found[2] in _STAMPED_IN_CONTEXT)
        ):
            stamped_depth = depth
        is_marked = stamped_depth is not None
        lines.append(Line(text, is_marked))
        if is_marked and depth == stamped_depth and text.strip()[:1] in ("}", "]"):
            stamped_depth = None
    return lines


def _document(row: LogRow) -> dict[str, Any]:
    if not row.body:
        return {}
    found = msgspec.json.decode(row.body)
    return found if isinstance(found, dict) else {}


def _identifiers(workspace: Workspace, row: LogRow) -> list[Said]:
    if not row.body:
        return []
    try:
        event = read_event(row.body)
    except msgspec.MsgspecError:
        return []
    return list_said(event, workspace.identity.rules()) if event.type != "husk" else []


def _proof_told(workspace: Workspace, row: LogRow, document: dict[str, Any]) -> str:
    told = document.get("proof")
    if not isinstance(told, dict):
        return ""
    if "refused" in told:
        return f"An identity token came with it and proves nothing: {told['refused']}."
    if find_earlier_use(workspace.state, read_event(row.body or b""), row.position) is not None:
        return "Its identity token was used before, so here it proves nothing."
    return "An identity token proves who this is."


def _skew(document: dict[str, Any], row: LogRow) -> str:
    """Say how the sender's clock stood, by what it called the time of sending."""
    original = document.get("originalTimestamp")
    if "clock" in document or not isinstance(original, str) or not isinstance(document.get("sentAt"), str):
        return ""
    sent_at = instant(document["sentAt"])
    if sent_at is None:
        return ""
    off_s = (row.received_at - sent_at) / SECOND
    if abs(off_s) < 1:
        return "right to the second"
    side = "behind ours" if off_s > 0 else "ahead of ours"
    return f"{abs(off_s):,.0f} s {side}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
