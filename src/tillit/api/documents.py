"""The shapes that go in and out: bodies that are checked, documents that are described.

In:    nothing.
Out:   records for bodies (unknown fields are refused) and the types that OpenAPI shows.
Never: a field that a caller may set and we do not use.
"""

from typing import Annotated, Any, TypedDict

import msgspec
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from msgspec import Meta

# -- bodies

Identifier = Annotated[str, Meta(max_length=600, description="`namespace:value`, or a profile id.")]
Purpose = Annotated[
    str, Meta(min_length=1, max_length=64, description="What the values are read for; the key's own when not named.")
]
Limit = Annotated[int, Meta(ge=1, le=10_000, description="Most rows; [api] max_page_limit bounds it.")]
Cursor = Annotated[str, Meta(max_length=64, description="The `next` of the page before.")]


class Lookup(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose document: `identifier`, or `namespace` and `value`."""

    identifier: Identifier | None = None
    namespace: Annotated[str, Meta(max_length=64)] | None = None
    value: Annotated[str, Meta(max_length=512)] | None = None
    purpose: Purpose | None = None


class LookupEvents(Lookup, forbid_unknown_fields=True, kw_only=True):
    """Whose events, and which page of them."""

    limit: Limit | None = None
    before: Cursor | None = None


class Search(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to look for: the beginning of an identifier, or of the words of a name."""

    q: Annotated[str, Meta(min_length=1, max_length=256)]
    limit: Limit | None = None
    purpose: Purpose | None = None


class Replay(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which quarantined events to judge again."""

    ids: Annotated[list[Annotated[int, Meta(ge=1, le=2**53)]], Meta(min_length=1, max_length=1_000)]


End = Annotated[str, Meta(max_length=600, description="An identifier, as `namespace:value`.")]
Reason = Annotated[str, Meta(description="Why, for whoever looks at it later: at most 500 characters. A cut needs it.")]


class TwoEnds(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The two identifiers that a question is about."""

    a: End
    b: End
    purpose: Purpose | None = None


class NewDecision(TwoEnds, forbid_unknown_fields=True, kw_only=True):
    """What to decide about two identifiers."""

    reason: Reason = ""


class NewBlock(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A value that stands for many, or does so no longer."""

    value: End
    reason: Reason = ""
    purpose: Purpose | None = None


class NewRules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Identity rules to put in force, as YAML."""

    text: Annotated[str, Meta(max_length=100_000)]
    reason: Reason = ""


class NewPlan(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Identity rules to try, as YAML."""

    text: Annotated[str, Meta(max_length=100_000)]


class NewRulesUndo(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Going back to the rules before the last."""

    reason: Reason = ""


class NewUndo(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which decision to undo: the `action` that it was answered with."""

    action: Annotated[str, Meta(max_length=64)]
    reason: Reason = ""
    purpose: Purpose | None = None


class NewChoice(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is said of one purpose."""

    purpose: Annotated[str, Meta(min_length=1, max_length=64)]
    state: Annotated[str, Meta(max_length=16, description="given, refused, withdrawn, objected, …")]
    channels: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=16)] = []
    valid_until: Annotated[str, Meta(max_length=40, description="RFC 3339")] | None = None


class NewConsent(Lookup, forbid_unknown_fields=True, kw_only=True):
    """What somebody chose."""

    choices: Annotated[list[NewChoice], Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(max_length=16, description="self, parent, guardian, agent, staff, controller, import")] = (
        "self"
    )
    method: Annotated[str, Meta(max_length=500, description="How: checkbox on /signup, by telephone.")] = ""
    notice: Annotated[str, Meta(max_length=64, description="What they were shown: name@version.")] = ""
    served: Annotated[str, Meta(max_length=128, description="Under which id it was shown.")] = ""
    evidence: Annotated[str, Meta(max_length=500, description="Where it can be seen.")] = ""
    jurisdiction: Annotated[str, Meta(max_length=16)] = ""


class Question(Lookup, forbid_unknown_fields=True, kw_only=True):
    """May this person's data be used for this? `purpose` is the one that is asked about."""

    at: Annotated[str, Meta(max_length=40, description="An instant (RFC 3339); now when not named.")] | None = None
    recipient: Annotated[str, Meta(max_length=64)] = ""
    channel: Annotated[str, Meta(max_length=32)] = ""
    jurisdiction: Annotated[str, Meta(max_length=16)] = ""
    fields: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=200)] = []


class NewRequest(Lookup, forbid_unknown_fields=True, kw_only=True):
    """What a customer asked about their data."""

    kind: Annotated[str, Meta(max_length=32, description="access, portability, correction, restriction, …")]
    place: Annotated[str, Meta(max_length=16, description="Whose law's clock counts: DE, US-CA.")] = ""
    level: Annotated[int, Meta(ge=0, le=3, description="How well they proved who they are.")] = 0
    via: Annotated[str, Meta(max_length=32, description="By what means: email, phone, session, document.")] = ""
    evidence: Annotated[str, Meta(max_length=80, description="The reference under which it is kept.")] = ""


class NewStep(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Something done about a request; which fields count says the step."""

    level: Annotated[int, Meta(ge=0, le=3)] = 0
    via: Annotated[str, Meta(max_length=32)] = ""
    evidence: Annotated[str, Meta(max_length=80)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    basis: Annotated[str, Meta(max_length=32, description="Of a hold.")] = ""
    until: Annotated[str, Meta(max_length=40, description="Of a hold.")] = ""
    ground: Annotated[str, Meta(max_length=32, description="Of a refusal.")] = ""
    recipient: Annotated[str, Meta(max_length=64, description="Of an answer.")] = ""
    answer: Annotated[str, Meta(max_length=32, description="Of an answer: answered, no_api or failed.")] = ""
    told: Annotated[dict[str, Any], Meta(max_length=8, description="Of a run: a correction's trait and value.")] = {}


class NewKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key to make."""

    kind: Annotated[str, Meta(description="public, secret, api or identity")]
    source: Annotated[str, Meta(min_length=1, max_length=64)]
    scopes: Annotated[list[str], Meta(max_length=32)] = []
    purpose: Purpose = "service"
    purposes: Annotated[list[Purpose], Meta(max_length=32, description="More that it may read for.")] = []
    origins: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=100)] = []


class NewMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to send: made from a template, for whoever holds an identifier."""

    template: Annotated[str, Meta(min_length=1, max_length=63)]
    to: Annotated[str, Meta(max_length=600, description="Whom it is for, as `namespace:value`.")]
    data: Annotated[dict[str, Any], Meta(description="What the template shows beside the person's values.")] = {}
    purpose: Annotated[str, Meta(max_length=64, description="The template's own; another is refused.")] | None = None


class LookupMessages(Lookup, forbid_unknown_fields=True, kw_only=True):
    """Whose messages, and which page of them."""

    limit: Limit | None = None
    before: Annotated[int, Meta(ge=0, le=2**53, description="The `next` of the page before.")] | None = None


class NewSuppression(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom nothing is to be sent to."""

    whom: Annotated[str, Meta(max_length=600, description="`address:…`, `domain:…`, or an identifier of a person.")]
    reason: Annotated[str, Meta(max_length=32, description="operator, complaint, unsubscribe, deceased, …")]
    words: Annotated[str, Meta(max_length=500, description="Why, for whoever looks at it later.")] = ""
    purpose: Annotated[str, Meta(max_length=64, description="Of an unsubscribe: from what; all when not named.")] = ""


class NewLift(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why an entry is taken off the suppression list."""

    words: Annotated[str, Meta(min_length=1, max_length=500)]


class NewReplay(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to go once more: deliveries by their ids, or all of a reason; all that did not arrive without either."""

    ids: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=1_000)] = []
    code: Annotated[str, Meta(max_length=100)] = ""


class NewVerification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An address that somebody claims."""

    to: Annotated[str, Meta(max_length=600, description="The address: `email:name@example.org`.")]
    claimed_by: Annotated[str, Meta(max_length=600, description="Who claims it: `user_id:…` or `anonymous_id:…`.")]
    template: Annotated[str, Meta(max_length=63, description="A template of class transactional.")]


class SaidCode(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The code, as the customer typed it."""

    code: Annotated[str, Meta(min_length=1, max_length=16)]


# -- parameters of addresses

QueryPurpose = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=64, description="What the values are read for; the key's own when not named."
    ),
]
QueryChannel = Annotated[
    str, QueryParameter(max_length=32, description="One of the purpose's channels; any when not named.")
]
QueryJurisdiction = Annotated[
    str, QueryParameter(max_length=16, description="Whose law counts, such as US-CA; the purpose's own when not named.")
]
QueryAsOf = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="An instant (RFC 3339): the profile as it was known then, of who the person is today.",
    ),
]
QueryLimit = Annotated[
    int | None, QueryParameter(ge=1, le=10_000, description="Most rows; [api] max_page_limit bounds it.")
]
QueryBefore = Annotated[str | None, QueryParameter(max_length=64, description="The `next` of the page before.")]
QueryText = Annotated[
    str,
    QueryParameter(min_length=1, max_length=256, description="The beginning of an identifier or of a name's words."),
]
QueryWord = Annotated[str | None, QueryParameter(min_length=1, max_length=256, description="Only events that have it.")]
QueryAfter = Annotated[
    int | None,
    QueryParameter(ge=0, le=2**53, description="A position: the `next` of the page before, or an event's `id`."),
]
QueryEnd = Annotated[str, QueryParameter(max_length=600, description="An identifier, as `namespace:value`.")]
PathWho = Annotated[
    str,
    PathParameter(description="`namespace:value` (percent-encode what an address cannot hold) or a profile id."),
]

PathGroup = Annotated[
    str,
    PathParameter(
        max_length=300, description="`kind:id`, such as `household:h1`; an id with a slash cannot be asked for."
    ),
]
QueryAfterMember = Annotated[str | None, QueryParameter(max_length=64, description="The `next` of the page before.")]

HeaderIdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=256,
        description="The same body under the same key asks once, however often it is sent.",
    ),
]
QueryTo = Annotated[
    str | None,
    QueryParameter(max_length=600, description="Only messages for this person: `namespace:value`, or a profile id."),
]
QueryState = Annotated[
    str | None,
    QueryParameter(max_length=16, description="waiting, claimed, delivered, refused, dead, unknown or withheld."),
]
QueryDestination = Annotated[str | None, QueryParameter(max_length=63, description="Only through this destination.")]
QueryReason = Annotated[str | None, QueryParameter(max_length=32, description="Only entries of this reason.")]
QueryWithLifted = Annotated[bool, QueryParameter(description="Also entries that were taken off the list.")]

# -- documents


class IdentifierDocument(TypedDict):
    """One identifier of a person."""

    namespace: str
    value: str
    first_seen_at: str
    last_seen_at: str
    trust: str


class TraitDocument(TypedDict):
    """One trait, with who said it when."""

    value: Any
    at: str
    source: str
    event_id: str
    trust: str


class PlaceDocument(TypedDict):
    """Somebody's place in a group, with who said it."""

    group: str
    kind: str
    name: str | None
    role: str | None
    since: str
    until: str | None
    source: str
    event_id: str
    trust: str


class SaidDocument(TypedDict):
    """Who said something, when."""

    source: str
    event_id: str
    at: str
    trust: str


class DeceasedDocument(SaidDocument):
    """That somebody is deceased, with who said it. `deceased_at` is null when it was not said."""

    deceased_at: str | None


class GuardianDocument(SaidDocument):
    """A guardian in a household, since `at`."""

    profile_id: str
    group: str


class FactsDocument(TypedDict):
    """What must be heeded before a person is written to or decided about. Null is not known."""

    deceased: DeceasedDocument | None
    minor: bool | None
    minor_evidence: SaidDocument | None
    guardians: list[GuardianDocument]


class WithheldDocument(TypedDict):
    """Something that was not handed out, and why. `*` stands for everything."""

    field: str
    reason: str


class LeaveDocument(TypedDict):
    """Whether somebody's data may be used, on what ground, or why not."""

    permitted: bool
    reason: str | None
    words: str | None
    basis: str | None
    record: str | None
    notice: str | None
    until: str | None


class AnswerDocument(LeaveDocument):
    """The answer to one question. `withheld` holds those of the fields asked about that may not be used."""

    id: str
    purpose: str
    at: str
    policy: str
    withheld: list[WithheldDocument]


class PurposeStateDocument(LeaveDocument):
    """What holds for one purpose."""

    purpose: str
    title: str


class StatementDocument(TypedDict):
    """What one event said of what somebody's data may be used for."""

    about: str
    state: str
    said_at: str
    received_at: str
    trust: str
    proved: bool
    explicit: bool
    by: str
    channels: list[str]
    notice: str | None
    evidence: str | None
    method: str | None
    valid_until: str | None
    jurisdiction: str | None
    source: str | None
    event_id: str


class ConsentDocument(TypedDict):
    """What holds for one person, purpose by purpose, and everything that was said, newest first."""

    id: str
    policy: str
    purposes: list[PurposeStateDocument]
    statements: list[StatementDocument]


class RequestDocument(TypedDict):
    """A request as it stands, with its clock. Instants are RFC 3339."""

    request_id: str
    kind: str
    profile_id: str
    regime: str
    asked_by: str
    filed_level: int
    received_at: str
    due_at: str
    is_extended: bool
    state: str
    level: int
    rests_until: str | None
    hold_code: str
    held_until: str | None
    original_id: str
    parts: dict[str, str]
    recipients: dict[str, str]
    codes: dict[str, str]
    missing: list[str]
    is_overdue: bool
    is_hold_over: bool
    is_resting: bool
    days_left: float


class RequestsDocument(TypedDict):
    """Requests, due soonest first."""

    requests: list[RequestDocument]


class SaidConsentDocument(TypedDict):
    """The event that a choice became."""

    event_id: str


class BelongingDocument(TypedDict):
    """That somebody is in an audience: since when, and what brought them there."""

    since: str
    cause: str


class ProfileDocument(TypedDict):
    """One person, as far as the purpose reaches."""

    id: str
    identifiers: list[IdentifierDocument]
    traits: dict[str, TraitDocument]
    counts: dict[str, int]
    types: dict[str, int]
    n_events: int
    first_seen_at: str | None
    last_seen_at: str | None
    withheld: list[WithheldDocument]
    groups: list[PlaceDocument]
    audiences: dict[str, BelongingDocument]
    facts: FactsDocument


class CountDocument(TypedDict):
    """How many people there are, and whom a purpose may use."""

    purpose: str
    people: int
    permitted: int
    withheld: int


class ProfilesDocument(TypedDict):
    """People found."""

    profiles: list[ProfileDocument]


class MemberDocument(TypedDict):
    """One member of a group."""

    profile_id: str
    role: str | None
    since: str
    until: str | None
    source: str
    event_id: str
    trust: str


class GroupDocument(TypedDict):
    """A group and a page of its members. `next` is the `after` of the page after, or null at the end."""

    group: str
    kind: str
    name: str | None
    traits: dict[str, TraitDocument]
    members: list[MemberDocument]
    next: str | None


class EventDocument(TypedDict):
    """One event. `traits` is there only where the event set some."""

    event_id: str
    message_id: str | None
    type: str
    name: str | None
    event_at: str
    received_at: str
    source: str
    properties: dict[str, Any]


class TimelineDocument(TypedDict):
    """A page of one person's events, newest first. `next` is the `before` of the page after, or null at the end."""

    events: list[EventDocument]
    next: str | None


class EventsDocument(TypedDict):
    """A page of everybody's events in log order. `next` is the `after` of the page after; it may have nothing yet."""

    events: list[EventDocument]
    next: int


class EvidenceDocument(TypedDict):
    """What one event said of two identifiers.

    `verdict` is admitted, soft (it waits for somebody's word), refused, withdrawn or noted; `violation` names the rule
    that it would break.
    """

    a: str
    b: str
    event_id: str
    at: str
    rule: str
    trust: str
    source: str
    verdict: str
    violation: str
    reason: str


StepDocument = TypedDict(
    "StepDocument",
    {
        "from": str,
        "to": str,
        "event_id": str,
        "at": str,
        "rule": str,
        "trust": str,
        "source": str,
        "verdict": str,
        "violation": str,
        "reason": str,
    },
)
StepDocument.__doc__ = "One step of a path: the evidence that ties two identifiers."


class DecisionDocument(TypedDict):
    """What a colleague decided: cut, pin, join or undo. `stands` is false when it was undone."""

    action: str
    kind: str
    a: str
    b: str
    at: str
    operator: str
    reason: str
    stands: bool


class WhyDocument(TypedDict):
    """Why two identifiers are one person: the shortest path of evidence; or why they are not."""

    a: str
    b: str
    together: bool
    path: list[StepDocument]
    direct: list[EvidenceDocument]
    decisions: list[DecisionDocument]


class DecidedDocument(WhyDocument):
    """What came of a decision. `profiles` are the ids of whoever holds the two identifiers now."""

    action: str
    kind: str
    reason: str
    operator: str
    profiles: list[str]


class ValueDocument(TypedDict):
    """What came of blocking or freeing a value. `profile` is the id of whoever it is now."""

    action: str
    kind: str
    reason: str
    operator: str
    value: str
    profile: str


class RulesStatusDocument(TypedDict):
    """Which rules were applied last (null: the default), and how far they are folded: in force when they are whole."""

    action: str | None
    in_force: bool
    done: int
    of: int


class AppliedRulesDocument(TypedDict):
    """Rules as somebody applied them; `text` as it was written."""

    action: str | None
    at: str | None
    operator: str
    reason: str
    text: str
    in_force: bool


class RulesDocument(RulesStatusDocument):
    """The identity rules, whole, with all that were ever applied, newest first."""

    text: str
    history: list[AppliedRulesDocument]


class PlanDocument(TypedDict):
    """Rules that this key tries: how far they are folded, and what they would change once `state` is done."""

    plan: str
    state: str
    done: int
    of: int
    failure: str
    result: dict[str, Any] | None


class ViolationsDocument(TypedDict):
    """A page of links that are soft or refused, newest first. `next` is the `before` of the page after, or null."""

    violations: list[EvidenceDocument]
    next: str | None


class PossibleDocument(EvidenceDocument):
    """Somebody who may well be the person asked about, and the soft link that says so."""

    profile_id: str


class PossiblyDocument(TypedDict):
    """The people who may well be one person. For analytics alone."""

    possible: list[PossibleDocument]


class HistoryDocument(TypedDict):
    """What colleagues decided about one person's identifiers, oldest first."""

    decisions: list[DecisionDocument]


class QuarantinedDocument(TypedDict):
    """One event that was not taken."""

    quarantine_id: int
    received_at: str
    source: str
    trust: str
    code: str
    reason: str
    message_id: str | None
    replayed: bool


class QuarantineDocument(TypedDict):
    """A page of what was not taken, newest first. `next` is the `before` of the page after, or null at the end."""

    quarantine: list[QuarantinedDocument]
    next: int | None


class QuarantinedBytesDocument(QuarantinedDocument):
    """One event that was not taken, with its bytes as they came."""

    raw_base64: str
    text: str | None


class ReplayedDocument(TypedDict):
    """What came of a replay."""

    replayed: int
    still_refused: int


class SourceDocument(TypedDict):
    """One source. `last_received_at` is null when the counted part of the log has nothing from it."""

    source: str
    n_keys: int
    n_living_keys: int
    last_received_at: str | None
    n_last_hour: int
    n_last_day: int


class SourcesDocument(TypedDict):
    """All sources. Counts are complete from `counted_from` on: at most the log's last day and 200,000 new rows."""

    sources: list[SourceDocument]
    counted_from: str | None


class KeyDocument(TypedDict):
    """One key, without the key itself."""

    key_id: str
    kind: str
    source: str
    scopes: list[str]
    purpose: str
    purposes: list[str]
    origins: list[str]
    created_at: str
    revoked_at: str | None


class MadeKeyDocument(KeyDocument):
    """A new key. `key` is shown this once."""

    key: str


class KeysDocument(TypedDict):
    """Every key ever made, newest first."""

    keys: list[KeyDocument]


class HealthDocument(TypedDict):
    """Events are taken."""

    status: str


class FoldDocument(TypedDict):
    """How far the fold is."""

    position: int
    head: int
    lag: int


class ReadyDocument(TypedDict):
    """The fold runs."""

    status: str
    fold: FoldDocument


class ErrorBody(TypedDict):
    """What went wrong: a stable code, a message for a person, the facts."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorDocument(TypedDict):
    """The one shape of every error."""

    error: ErrorBody


class AskedMessageDocument(TypedDict):
    """A message that was asked for."""

    id: str
    template: str
    purpose: str


# `class` cannot be written as a field.
_Class = TypedDict("_Class", {"class": str | None})


class MessageDocument(_Class):
    """What became of a message: `words` says its state, `reason` its code."""

    id: str
    kind: str
    template: str | None
    destination: str | None
    purpose: str | None
    profile_id: str | None
    event_id: str | None
    state: str
    words: str
    code: str | None
    reason: str | None
    maybe_duplicate: bool
    n_attempts: int
    asked_at: str
    due_at: str | None
    ended_at: str | None


class AttemptDocument(TypedDict):
    """One try to send a message. `said` and `reference` are the recipient's own."""

    attempt: int
    what: str
    begun_at: str
    ended_at: str | None
    outcome: str | None
    words: str
    code: str | None
    reason: str | None
    said: str | None
    reference: str | None
    fields: list[str]
    maybe_duplicate: bool


class MessageLifeDocument(MessageDocument):
    """The whole life of a message. `withheld` says why the recipient's words are not shown."""

    attempts: list[AttemptDocument]
    withheld: str | None


class MessagesDocument(TypedDict):
    """A page of messages, newest first."""

    messages: list[MessageDocument]
    next: int | None


class SuppressedDocument(TypedDict):
    """One entry of the list of whom nothing is sent to."""

    suppression_id: int
    about: str
    reason: str
    purpose: str | None
    source: str
    at: str
    by: str
    words: str | None
    profile_id: str | None
    lifted_at: str | None
    lifted_by: str | None
    lifted_words: str | None


class SuppressionsDocument(TypedDict):
    """A page of the suppression list, newest first."""

    suppressions: list[SuppressedDocument]
    next: int | None


class DestinationDocument(TypedDict):
    """A destination and how it is."""

    destination: str
    title: str | None
    kind: str
    send: str
    purpose: str
    recipient: str
    state: str
    paused_at: str | None
    paused_by: str | None
    pause_code: str | None
    pause_reason: str | None
    n_failed: int
    delivered_at: str | None
    failed_at: str | None
    fail_code: str | None
    fail_reason: str | None
    counts: dict[str, int]
    applied_at: str


class FailureDocument(TypedDict):
    """How many deliveries did not arrive for one reason."""

    state: str
    code: str
    reason: str | None
    n: int


class MinuteDocument(TypedDict):
    """How many deliveries ended in one minute, by state."""

    at: str
    counts: dict[str, int]


class WholeDestinationDocument(DestinationDocument):
    """A destination with its definition, what did not arrive, and the last hour."""

    text: str
    fields: dict[str, str]
    reaches: list[str]
    records: dict[str, int]
    failures: list[FailureDocument]
    newest_failed: list[MessageDocument]
    minutes: list[MinuteDocument]


class DestinationsDocument(TypedDict):
    """Every destination."""

    destinations: list[DestinationDocument]


class ReplayedMessagesDocument(TypedDict):
    """How many deliveries go once more."""

    destination: str
    replayed: int


class CheckedDocument(TypedDict):
    """Whether a destination can be reached."""

    destination: str
    is_well: bool
    words: str
    took_ms: float


class SuppressionNumberDocument(TypedDict):
    """The number of an entry."""

    suppression_id: int


class TakenDocument(TypedDict):
    """What became of feedback."""

    new: int
    known: int
    unknown: int


class VerificationDocument(TypedDict):
    """A code that was sent."""

    id: str
    expires_at: str


class VerifiedDocument(TypedDict):
    """An address that was verified."""

    event_id: str
