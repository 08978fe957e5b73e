"""The API describes itself: OpenAPI 3.1, a page for people, the reference page of the docs.

In:    the routes.
Out:   /api/openapi.json, /api/docs (no script, nothing from elsewhere), Markdown.
Never: a route that is not in the description.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import msgspec
from litestar import Litestar, MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from tillit.api.documents import ErrorDocument

_TITLE = "Tillit"
_VERSION = "1"
_ABOUT = (
    "Reading what Tillit knows, and deciding who is who. Every route takes `Authorization: Bearer KEY` with a key of "
    "kind api that has the route's scope; Basic works too, with the key as user name. Every read of personal values is "
    "for a purpose: the `purpose` that is named, or the key's own. Times are RFC 3339 UTC. Errors have one shape "
    "everywhere. `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` say what the key may still ask of this "
    "process."
)
_REFUSALS = {
    "400": ("A parameter or the body is not as the route wants it.", "api.bad-request"),
    "401": ("No living key came along.", "api.no-key"),
    "403": ("The key is of another kind or lacks the scope.", "api.missing-scope"),
    "404": ("There is no such thing; for people the same answer whatever the reason.", "profile.unknown"),
    "409": ("It changes nothing, or contradicts what was said before.", "identity.refused"),
    "429": ("The key has asked too much; `Retry-After` says when to try again.", "api.rate-limited"),
    "503": ("Not now; `Retry-After` says when to try again.", "store.locked"),
}

_DECIDE = ("/cut", "/pin", "/join", "/undo")
_ASK_BY_NAME = (
    "/lookup",
    "/lookup/events",
    "/lookup/decisions",
    "/why",
    "GET /api/messages",
    "/suppressions",
    *_DECIDE,
)
_MAY_CONTRADICT = ("POST /api/messages", *_DECIDE)

_PROFILE = {
    "id": "p0000000000020",
    "identifiers": [
        {
            "namespace": "email",
            "value": "ana@example.org",
            "first_seen_at": "2026-03-01T09:00:00Z",
            "last_seen_at": "2026-03-02T10:15:00Z",
            "trust": "server",
        }
    ],
    "traits": {
        "firstName": {
            "value": "Ana",
            "at": "2026-03-01T09:00:00Z",
            "source": "shop",
            "event_id": "e1-1",
            "trust": "server",
        }
    },
    "counts": {"Order Completed": 3},
    "types": {"identify": 1, "track": 3},
    "n_events": 4,
    "first_seen_at": "2026-03-01T09:00:00Z",
    "last_seen_at": "2026-03-02T10:15:00Z",
    "groups": [
        {
            "group": "household:h1",
            "kind": "household",
            "name": "Ek",
            "role": "guardian",
            "since": "2026-03-01T09:00:00Z",
            "until": None,
            "source": "shop",
            "event_id": "e1-2",
            "trust": "server",
        }
    ],
    "withheld": [],
    "facts": {"deceased": None, "minor": None, "minor_evidence": None, "guardians": []},
    "audiences": {"lapsing": {"since": "2026-03-02T10:15:01Z", "cause": "timer"}},
}
_GROUP = {
    "group": "household:h1",
    "kind": "household",
    "name": "Ek",
    "traits": {
        "name": {
            "value": "Ek",
            "at": "2026-03-01T09:00:00Z",
            "source": "shop",
            "event_id": "e1-2",
            "trust": "server",
        }
    },
    "members": [
        {
            "profile_id": "p0000000000020",
            "role": "guardian",
            "since": "2026-03-01T09:00:00Z",
            "until": None,
            "source": "shop",
            "event_id": "e1-2",
            "trust": "server",
        }
    ],
    "next": None,
}
_AUDIENCE = {
    "audience": "lapsing",
    "title": "Lapsing regulars",
    "purpose": "newsletter",
    "description": "Bought twice over 50 in 90 days, nothing in 30.",
    "members": 412,
    "change_since_yesterday": -3,
    "state": "live",
    "words": "Every event and every passing second counts at once.",
    "version": 9,
    "as_of": None,
}
_LAPSING = {"event": "Order Completed", "within": "30d", "count": {"equals": 0}}
_LAPSING_READ = "Order Completed did not happen in the last 30 days"
_WHOLE_AUDIENCE = {
    **_AUDIENCE,
    "trend": [[20513, 415], [20514, 412]],
    "sentence": _LAPSING_READ,
    "lines": [{"text": _LAPSING_READ, "depth": 0, "joined": ""}],
    "definition": _LAPSING,
    "after": ["vip"],
    "holdout": "5%",
    "held_out": 21,
    "versions": [{"version": 9, "at": "2026-03-01T09:00:00Z", "operator": "kim", "reason": "spring"}],
}
_WHY_AUDIENCE = {
    "audience": "lapsing",
    "profile_id": "p0000000000020",
    "at": "2026-03-02T10:15:01Z",
    "is_member": True,
    "since": "2026-03-02T10:15:01Z",
    "cause": "timer",
    "sentence": _LAPSING_READ,
    "changes_at": None,
    "leaves": [
        {
            "kind": "compare",
            "sentence": _LAPSING_READ,
            "holds": True,
            "value": "0 times",
            "wanted": "0 times",
            "events": [{"event_id": "e1-4", "at": "2026-01-31T10:15:01Z"}],
            "changes_at": None,
            "flip": "1 more Order Completed",
            "depth": 0,
            "joined_by": "",
            "people": [],
        }
    ],
    "flip": "1 more Order Completed",
    "words": ["0 times"],
}
_CHANGE = {
    "change_id": 71,
    "audience": "lapsing",
    "kind": "enter",
    "profile_id": "p0000000000020",
    "from_profile_id": None,
    "at": "2026-03-02T10:15:01Z",
    "cause": "timer",
    "since": "2026-03-02T10:15:01Z",
    "version": 9,
}
_FEATURE = {
    "feature": "spend",
    "title": "Spent in a year",
    "description": "",
    "purpose": "newsletter",
    "sentence": "the sum of total of Order Completed in the last 365 days",
    "definition": {"event": "Order Completed", "within": "365d", "sum": "total"},
    "version": 8,
    "state": "live",
    "words": "It is made whenever it is asked for.",
}
_LEAVE = {
    "permitted": True,
    "reason": None,
    "words": None,
    "basis": "consent",
    "record": "e1-9",
    "notice": "newsletter@3",
    "until": None,
}
_REQUEST = {
    "request_id": "r5f0c1e9a7b3d2468",
    "kind": "access",
    "profile_id": "p0000000000020",
    "regime": "gdpr",
    "asked_by": "operator",
    "filed_level": 0,
    "received_at": "2026-03-02T10:15:00Z",
    "due_at": "2026-04-02T10:15:00Z",
    "is_extended": False,
    "state": "received",
    "level": 0,
    "rests_until": None,
    "hold_code": "",
    "held_until": None,
    "original_id": "",
    "parts": {},
    "recipients": {},
    "codes": {},
    "missing": [],
    "is_overdue": False,
    "is_hold_over": False,
    "is_resting": False,
    "days_left": 31.0,
}
_CONSENT = {
    "id": "p0000000000020",
    "policy": "6f1ed002ab559585",
    "purposes": [{"purpose": "newsletter", "title": "Newsletter", **_LEAVE}],
    "statements": [
        {
            "about": "newsletter",
            "state": "given",
            "said_at": "2026-03-02T10:15:00Z",
            "received_at": "2026-03-02T10:15:00Z",
            "trust": "server",
            "proved": False,
            "explicit": True,
            "by": "self",
            "channels": ["email"],
            "notice": "newsletter@3",
            "evidence": None,
            "method": "checkbox on /signup",
            "valid_until": None,
            "jurisdiction": None,
            "source": "shop",
            "event_id": "e1-9",
        }
    ],
}
_EVENT = {
    "event_id": "e1-4",
    "message_id": "m-4",
    "type": "track",
    "name": "Order Completed",
    "event_at": "2026-03-02T10:15:00Z",
    "received_at": "2026-03-02T10:15:01Z",
    "source": "shop",
    "properties": {"total": 49.9, "currency": "EUR"},
}
_QUARANTINED = {
    "quarantine_id": 7,
    "received_at": "2026-03-02T10:15:01Z",
    "source": "web",
    "trust": "claimed",
    "code": "missing_ids",
    "reason": "The event has neither userId nor anonymousId.",
    "message_id": "m-5",
    "replayed": False,
}
_KEY = {
    "key_id": "k_5f0c1d2e3a4b",
    "kind": "api",
    "source": "dashboard",
    "scopes": ["profiles:read"],
    "purpose": "service",
    "purposes": ["service"],
    "origins": [],
    "created_at": "2026-03-01T09:00:00Z",
    "revoked_at": None,
}
_SOURCE = {
    "source": "shop",
    "n_keys": 1,
    "n_living_keys": 1,
    "last_received_at": "2026-03-02T10:15:01Z",
    "n_last_hour": 120,
    "n_last_day": 2400,
}
_SAID = {
    "event_id": "e1-2",
    "at": "2026-03-01T09:00:00Z",
    "rule": "same event",
    "trust": "server",
    "source": "till",
}
_WITHDRAWN = {
    "a": "user_id:ana",
    "b": "email:bo@example.org",
    **_SAID,
    "verdict": "withdrawn",
    "violation": "",
    "reason": "cut by a colleague",
}
_DECISION = {
    "action": "e1-9",
    "kind": "cut",
    "a": "user_id:ana",
    "b": "email:bo@example.org",
    "at": "2026-03-02T10:15:00Z",
    "operator": "key:office",
    "reason": "The till mistook one for the other.",
    "stands": True,
}
_ENDS = {"a": "user_id:ana", "b": "email:bo@example.org"}
_WHY = {
    **_ENDS,
    "together": True,
    "path": [
        {
            "from": "user_id:ana",
            "to": "email:bo@example.org",
            **_SAID,
            "verdict": "admitted",
            "violation": "",
            "reason": "",
        },
    ],
    "direct": [{**_ENDS, **_SAID, "verdict": "admitted", "violation": "", "reason": ""}],
    "decisions": [],
}
_REASON = {"reason": "The till mistook one for the other."}


_VALUE = {"value": "email:test@example.org", "reason": "The till's test address."}
_BLOCKED = {**_VALUE, "operator": "key:office", "profile": "p0000000000042"}
_RULES_TEXT = "namespaces: {email: {limit: 1 ever}}\n"
_RULES = {"action": "e1-9", "in_force": True, "done": 9, "of": 9}
_PLAN = {"plan": "p5f0c1e9a7b3d2468", "state": "running", "done": 2_000, "of": 58_000, "failure": "", "result": None}
_APPLIED = {
    "action": "e1-9",
    "at": "2026-03-02T10:15:00Z",
    "operator": "key:office",
    "reason": "One address each.",
    "text": _RULES_TEXT,
    "in_force": True,
}
_MESSAGE = {
    "id": "5f0c1d2e3a4b5f0c1d2e3a4b5f0c1d2e",
    "kind": "message",
    "template": "order-shipped",
    "destination": "mail",
    "purpose": "service",
    "class": "transactional",
    "profile_id": "p0000000000020",
    "event_id": "e1-9",
    "state": "delivered",
    "words": "The recipient took it.",
    "code": None,
    "reason": None,
    "maybe_duplicate": False,
    "n_attempts": 1,
    "asked_at": "2026-03-02T10:15:00Z",
    "due_at": None,
    "ended_at": "2026-03-02T10:15:02Z",
}
_LIFE = {
    **_MESSAGE,
    "attempts": [
        {
            "attempt": 1,
            "what": "message",
            "begun_at": "2026-03-02T10:15:01Z",
            "ended_at": "2026-03-02T10:15:02Z",
            "outcome": "delivered",
            "words": "The recipient took it.",
            "code": None,
            "reason": None,
            "said": "2.0.0 Ok: queued as 4XK2",
            "reference": "4XK2",
            "fields": ["identifiers.email", "traits.firstName"],
            "maybe_duplicate": False,
        }
    ],
    "withheld": None,
}
_SUPPRESSED = {
    "suppression_id": 3,
    "about": "address",
    "reason": "hard_bounce",
    "purpose": None,
    "source": "bounce",
    "at": "2026-03-02T10:15:02Z",
    "by": "courier",
    "words": None,
    "profile_id": "p0000000000020",
    "lifted_at": None,
    "lifted_by": None,
    "lifted_words": None,
}
_DESTINATION = {
    "destination": "crm",
    "title": "Our CRM",
    "kind": "webhook",
    "send": "people",
    "purpose": "service",
    "recipient": "crm",
    "state": "failing",
    "paused_at": None,
    "paused_by": None,
    "pause_code": None,
    "pause_reason": None,
    "n_failed": 1,
    "delivered_at": "2026-03-02T10:14:00Z",
    "failed_at": "2026-03-02T10:15:00Z",
    "fail_code": "http.503",
    "fail_reason": "It answered 503.",
    "counts": {"delivered": 412, "refused": 2},
    "applied_at": "2026-03-01T09:00:00Z",
}
_RECORD = {**_MESSAGE, "kind": "record", "template": None, "destination": "crm", "class": None, "state": "refused"}
_WHOLE_DESTINATION = {
    **_DESTINATION,
    "text": "destination: crm\nkind: webhook\n…",
    "fields": {"first_name": "traits.firstName"},
    "reaches": ["traits.firstName"],
    "records": {"acknowledged": 410, "rejected": 2},
    "failures": [{"state": "refused", "code": "http.422", "reason": "It answered 422.", "n": 2}],
    "newest_failed": [
        {**_RECORD, "words": "The recipient refused it for good.", "code": "http.422", "reason": "It answered 422."}
    ],
    "minutes": [{"at": "2026-03-02T10:14:00Z", "counts": {"delivered": 40}}],
}


def _decided(kind: str, *, together: bool) -> dict[str, Any]:
    one = "p0000000000040"
    decision = {**_DECISION, "kind": kind}
    said = {**_SAID, "event_id": "e1-9", "rule": "colleague", "trust": "operator", "source": "identity"}
    joined = {**said, "verdict": "admitted", "violation": "", "reason": ""}
    return {
        "action": "e1-9",
        "kind": kind,
        **_REASON,
        "operator": "key:office",
        "profiles": [one, one if together else "p0000000000082"],
        **_ENDS,
        "together": together,
        "path": [{"from": _ENDS["a"], "to": _ENDS["b"], **joined}] if together else [],
        "direct": [{**_ENDS, **joined}] if together else [_WITHDRAWN] if kind == "cut" else [],
        "decisions": [decision],
    }


# Method and path -> what a body may look like (None: there is no body), and an answer to it.
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "GET /api/profiles/{who}": (None, _PROFILE),
    "GET /api/profiles/{who}/events": (None, {"events": [_EVENT], "next": "1772446500000000.4"}),
    "POST /api/profiles/lookup": ({"identifier": "email:ana@example.org", "purpose": "service"}, _PROFILE),
    "POST /api/profiles/lookup/events": (
        {"namespace": "email", "value": "ana@example.org", "limit": 1},
        {"events": [_EVENT], "next": "1772446500000000.4"},
    ),
    "POST /api/messages/bounces": (None, {"new": 1, "known": 0, "unknown": 0}),
    "POST /api/verifications": (
        {"to": "email:ana@example.org", "claimed_by": "user_id:ana", "template": "verify-address"},
        {"id": "v5f0c1e9a7b3d24685f0c1e9a7b3d2468", "expires_at": "2026-03-02T10:25:00Z"},
    ),
    "POST /api/verifications/{verification_id}": ({"code": "430217"}, {"event_id": "e1-9"}),
    "GET /api/requests": (None, {"requests": [_REQUEST]}),
    "GET /api/requests/{request_id}": (None, _REQUEST),
    "POST /api/requests": (
        {"identifier": "email:ana@example.org", "kind": "access", "place": "SE", "evidence": "ticket-4711"},
        _REQUEST,
    ),
    "POST /api/requests/{request_id}/{step}": ({"level": 2, "via": "session", "evidence": "ticket-4711"}, _REQUEST),
    "GET /api/consent/{who}": (None, _CONSENT),
    "POST /api/consent/lookup": ({"identifier": "email:ana@example.org"}, _CONSENT),
    "POST /api/consent": (
        {
            "identifier": "email:ana@example.org",
            "choices": [{"purpose": "newsletter", "state": "given", "channels": ["email"]}],
            "method": "checkbox on /signup",
            "notice": "newsletter@3",
        },
        {"event_id": "e1-9"},
    ),
    "POST /api/decide": (
        {"identifier": "email:ana@example.org", "purpose": "newsletter", "fields": ["identifiers.email"]},
        {
            "id": "p0000000000020",
            "purpose": "newsletter",
            "at": "2026-03-02T10:15:01Z",
            "policy": "6f1ed002ab559585",
            **_LEAVE,
            "withheld": [],
        },
    ),
    "GET /api/groups/{group}": (None, _GROUP),
    "GET /api/profiles/count": (
        None,
        {"purpose": "newsletter", "people": 10_000, "permitted": 4_120, "withheld": 5_880},
    ),
    "GET /api/profiles": (None, {"profiles": [_PROFILE]}),
    "POST /api/profiles/search": ({"q": "ana", "limit": 20}, {"profiles": [_PROFILE]}),
    "GET /api/identity/why": (None, _WHY),
    "POST /api/identity/why": (_ENDS, _WHY),
    "POST /api/identity/cut": ({**_ENDS, **_REASON}, _decided("cut", together=False)),
    "POST /api/identity/pin": ({**_ENDS, **_REASON}, _decided("pin", together=False)),
    "POST /api/identity/join": ({**_ENDS, **_REASON}, _decided("join", together=True)),
    "POST /api/identity/undo": (
        {"action": "e1-8", "reason": "They are one person after all."},
        {**_decided("undo", together=True), "reason": "They are one person after all."},
    ),
    "POST /api/identity/block": (_VALUE, {"action": "e1-9", "kind": "block", **_BLOCKED}),
    "POST /api/identity/free": (_VALUE, {"action": "e1-9", "kind": "free", **_BLOCKED}),
    "GET /api/identity/rules": (None, {**_RULES, "text": _RULES_TEXT, "history": [_APPLIED]}),
    "POST /api/identity/rules": ({"text": _RULES_TEXT, "reason": "One address each."}, _RULES),
    "GET /api/profiles/{who}/possible": (
        None,
        {
            "possible": [
                {
                    "profile_id": "p0000000000082",
                    **_ENDS,
                    **_SAID,
                    "verdict": "soft",
                    "violation": "two_logins",
                    "reason": "two user ids",
                }
            ]
        },
    ),
    "POST /api/identity/plan": ({"text": _RULES_TEXT}, _PLAN),
    "GET /api/identity/plan": (None, _PLAN),
    "POST /api/identity/rules/undo": ({"reason": "It parted families."}, _RULES),
    "GET /api/identity/violations": (
        None,
        {
            "violations": [
                {
                    "a": "user_id:bo",
                    "b": "email:ana@example.org",
                    **_SAID,
                    "verdict": "soft",
                    "violation": "two_logins",
                    "reason": "two user ids",
                }
            ],
            "next": None,
        },
    ),
    "GET /api/profiles/{who}/decisions": (None, {"decisions": [_DECISION]}),
    "POST /api/profiles/lookup/decisions": ({"identifier": "user_id:ana"}, {"decisions": [_DECISION]}),
    "POST /api/messages": (
        {
            "template": "order-shipped",
            "to": "email:ana@example.org",
            "data": {"order": "4711"},
            "purpose": "service",
        },
        {"id": _MESSAGE["id"], "template": "order-shipped", "purpose": "service"},
    ),
    "GET /api/messages": (None, {"messages": [_MESSAGE], "next": None}),
    "POST /api/messages/lookup": ({"identifier": "email:ana@example.org"}, {"messages": [_MESSAGE], "next": None}),
    "GET /api/messages/{message_id}": (None, _LIFE),
    "GET /api/suppressions": (None, {"suppressions": [_SUPPRESSED], "next": None}),
    "POST /api/suppressions": (
        {"whom": "address:ana@example.org", "reason": "operator", "words": "She called."},
        {"suppression_id": 3},
    ),
    "DELETE /api/suppressions/{number}": ({"words": "The mailbox works again."}, {"suppression_id": 3}),
    "GET /api/destinations": (None, {"destinations": [_DESTINATION]}),
    "GET /api/destinations/{name}": (None, _WHOLE_DESTINATION),
    "POST /api/destinations/{name}/pause": (
        None,
        {
            **_DESTINATION,
            "state": "paused",
            "paused_at": "2026-03-02T10:15:02Z",
            "paused_by": "k_5f0c1d2e3a4b",
            "pause_code": "operator",
            "pause_reason": "A colleague paused it.",
        },
    ),
    "POST /api/destinations/{name}/resume": (None, {**_DESTINATION, "state": "well", "n_failed": 0}),
    "POST /api/destinations/{name}/replay": ({"code": "http.422"}, {"destination": "crm", "replayed": 2}),
    "POST /api/destinations/{name}/check": (
        None,
        {"destination": "crm", "is_well": True, "words": "It answered 200.", "took_ms": 31.5},
    ),
    "GET /api/audiences": (None, {"audiences": [_AUDIENCE]}),
    "GET /api/audiences/{name}": (None, _WHOLE_AUDIENCE),
    "GET /api/audiences/{name}/members": (
        None,
        {
            "audience": "lapsing",
            "purpose": "newsletter",
            "as_of": None,
            "members": [{"profile_id": "p0000000000020", "since": "2026-03-02T10:15:01Z", "cause": "timer"}],
            "withheld": {"no_consent": 1},
            "next": 64,
        },
    ),
    "GET /api/audiences/{name}/why/{who}": (None, _WHY_AUDIENCE),
    "POST /api/audiences/{name}/why": ({"identifier": "email:ana@example.org"}, _WHY_AUDIENCE),
    "GET /api/audiences/{name}/changes": (
        None,
        {"changes": [_CHANGE], "withheld": {"no_consent": 1}, "next": 72, "is_last": True},
    ),
    "GET /api/audiences/changes/stream": (None, "id: 71\ndata: " + msgspec.json.encode(_CHANGE).decode() + "\n\n"),
    "POST /api/audiences/preview": (
        {"definition": _LAPSING, "purpose": "newsletter", "sample": 1},
        {
            "purpose": "newsletter",
            "as_of": None,
            "sentence": _LAPSING_READ,
            "people": 412,
            "of": 10_000,
            "share": 0.0412,
            "permitted": 171,
            "withheld": {"no_consent": 241},
            "sample": ["p0000000000020"],
            "trend": [[20513, 415], [20514, 412]],
            "overlaps": [{"audience": "regulars", "both": 300, "here_only": 112, "there_only": 2_100}],
            "near": [{"audience": "quiet", "similarity": 0.97}],
            "cost": {"tapes_shared": 1, "tapes_new": 0, "seconds": 0.4},
        },
    ),
    "GET /api/features": (None, {"features": [_FEATURE]}),
    "GET /api/features/{name}": (
        None,
        {**_FEATURE, "n": 4_120, "missing": 0, "rare": 0, "bars": [{"from": 0.0, "until": 50.0, "n": 4_120}]},
    ),
    "GET /api/features/{name}/values": (
        None,
        {
            "feature": "spend",
            "purpose": "newsletter",
            "values": [{"profile_id": "p0000000000020", "value": 212.5}],
            "withheld": {"no_consent": 1},
            "next": 64,
        },
    ),
    "POST /api/features/{name}/values/lookup": (
        {"identifier": "email:ana@example.org"},
        {
            "feature": "spend",
            "profile_id": "p0000000000020",
            "value": 212.5,
            "changes_at": "2026-06-02T10:15:01Z",
        },
    ),
    "GET /api/events": (None, {"events": [_EVENT], "next": 4}),
    "GET /api/events/stream": (None, "id: 4\ndata: " + msgspec.json.encode(_EVENT).decode() + "\n\n"),
    "GET /api/quarantine": (None, {"quarantine": [_QUARANTINED], "next": None}),
    "GET /api/quarantine/{number}": (
        None,
        {**_QUARANTINED, "raw_base64": "eyJ0eXBlIjoidHJhY2sifQ==", "text": '{"type":"track"}'},
    ),
    "POST /api/quarantine/replay": ({"ids": [7]}, {"replayed": 1, "still_refused": 0}),
    "GET /api/sources": (None, {"sources": [_SOURCE], "counted_from": "2026-03-01T10:15:01Z"}),
    "GET /api/keys": (None, {"keys": [_KEY]}),
    "POST /api/keys": (
        {"kind": "api", "source": "dashboard", "scopes": ["profiles:read"], "purpose": "service"},
        {**_KEY, "key": "ak_shown-this-once"},
    ),
    "DELETE /api/keys/{key_id}": (None, {**_KEY, "revoked_at": "2026-03-02T10:15:01Z"}),
    "GET /health": (None, {"status": "ok"}),
    "GET /ready": (None, {"status": "ready", "fold": {"position": 4, "head": 4, "lag": 0}}),
    "GET /metrics": (None, "tillit_fold_lag_rows 0\n"),
}


def description_routes(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Make the routes that describe the others. The description is made when it is first asked for."""

    @cache
    def document() -> dict[str, Any]:
        return openapi_document(handlers)

    @cache
    def page() -> tuple[bytes, str]:
        return docs_page(document())

    @get("/api/openapi.json", opt={"is_open": True}, include_in_schema=False)
    async def read_openapi() -> Response[bytes]:
        """Give the description for programs."""
        return Response(msgspec.json.encode(document()), media_type="application/vnd.oai.openapi+json")

    @get("/api/docs", opt={"is_open": True}, include_in_schema=False)
    async def read_docs() -> Response[bytes]:
        """Give the description for people."""
        text, policy = page()
        return Response(text, media_type=MediaType.HTML, headers={"Content-Security-Policy": policy})

    return [read_openapi, read_docs]


def openapi_document(handlers: Sequence[HTTPRouteHandler]) -> dict[str, Any]:
    """Describe routes in OpenAPI 3.1, each with its scope, an example, and the refusals it may give."""
    config = OpenAPIConfig(
        title=_TITLE, version=_VERSION, description=_ABOUT, use_handler_docstrings=True, path="/api/description"
    )

    # An application of its own, never served: the library would add routes of its own to one that describes itself.
    @get("/error", operation_id="Error")
    async def error_shape() -> ErrorDocument:
        raise NotImplementedError

    told: dict[str, Any] = Litestar(
        [*handlers, error_shape], openapi_config=config, logging_config=None
    ).openapi_schema.to_schema()
    del told["paths"]["/error"]
    scopes = {
        _place(method, path): handler.opt.get("scope") for handler in handlers for method, path in _places(handler)
    }
    for place, operation in _operations(told):
        _complete(operation, place, scopes[place])
    told["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key of kind api."},
        "key_as_user": {"type": "http", "scheme": "basic", "description": "The key as user name, no password."},
    }
    told.pop("servers", None)
    return told


def _complete(operation: dict[str, Any], place: str, scope: str | None) -> None:
    asks, answers = EXAMPLES[place]
    summary = operation.get("description", "")
    operation["summary"] = summary.partition(".")[0].partition(";")[0]
    operation["security"] = [{"key": [scope]}, {"key_as_user": [scope]}] if scope else []
    if scope:
        operation["description"] = f"{summary}\n\nScope: `{scope}`."
    if asks is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = asks
    responses = operation["responses"]
    responses.pop("400", None)
    for answer in responses.values():
        for content in answer.get("content", {}).values():
            content["example"] = answers
    for status, (description, code) in _REFUSALS.items():
        if scope is None and status in {"400", "401", "403", "404", "429"}:
            continue
        if status == "404" and "{" not in place and not place.endswith(_ASK_BY_NAME):
            continue
        if status == "409" and not place.endswith(_MAY_CONTRADICT):
            continue
        responses[status] = {
            "description": description,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ErrorDocument"},
                    "example": {"error": {"code": code, "message": description, "details": {}}},
                }
            },
        }


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "delete", "patch"):
            if method in item:
                yield _place(method, path), item[method]


def _places(handler: HTTPRouteHandler) -> Iterator[tuple[str, str]]:
    for path in handler.paths:
        for method in handler.http_methods:
            yield str(method), path


def _place(method: str, path: str) -> str:
    for kind in (":str", ":int"):
        path = path.replace(kind, "")
    return f"{method.upper()} {path}"


def docs_page(document: dict[str, Any]) -> tuple[bytes, str]:
    """Give the page for people and the Content-Security-Policy that lets in its own style and nothing else."""
    folder = files("tillit.api") / "templates"
    style = (folder / "docs.css").read_text(encoding="utf-8")
    loader = jinja2.DictLoader({"docs.html": (folder / "docs.html").read_text(encoding="utf-8")})
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "docs.html"
    )
    text = template.render(document=document, operations=list(_told(document)), style=style).encode()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        text,
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def reference_page(document: dict[str, Any]) -> str:
    """Give the reference page of the API, in Markdown."""
    lines = [
        "# HTTP API",
        "",
        "Made from the code by `make docs`; do not edit.",
        "",
        *_ABOUT.replace(". ", ".\n").split("\n"),
        "The same description for programs is at `/api/openapi.json`, for people at `/api/docs`.",
        "A running server keeps no access log; its measures hold route templates only.",
        "Every web process counts requests, streams and budgets for itself.",
    ]
    for one in _told(document):
        lines += ["", f"## {one['method']} {one['path']}", "", *one["text"].split("\n")]
        if one["parameters"]:
            lines += ["", "| parameter | in | must be | what it does |", "|---|---|---|---|"]
            lines += [f"| `{p['name']}` | {p['in']} | {p['shape']} | {p['text']} |" for p in one["parameters"]]
        if one["asks"]:
            lines += ["", "Body:", "", "```json", *one["asks"].split("\n"), "```"]
        lines += [
            "",
            f"Answer {one['status']}:",
            "",
            f"```{one['form']}",
            *one["answers"].rstrip("\n").split("\n"),
            "```",
        ]
        if one["refusals"]:
            lines += ["", f"Refusals: {', '.join(one['refusals'])}."]
    return "\n".join(lines) + "\n"


def _told(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place, operation in _operations(document):
        method, _, path = place.partition(" ")
        asks, answers = EXAMPLES[place]
        statuses = list(operation["responses"])
        good = sorted((status for status in statuses if status < "300"), reverse=True)
        yield {
            "method": method,
            "path": path,
            "text": operation["description"].strip(),
            "parameters": [_parameter(p) for p in operation.get("parameters", [])],
            "asks": _pretty(asks) if asks is not None else "",
            "answers": answers if isinstance(answers, str) else _pretty(answers),
            "form": "text" if isinstance(answers, str) else "json",
            "status": " or ".join(good),
            "refusals": [status for status in statuses if status not in good],
        }


def _parameter(parameter: dict[str, Any]) -> dict[str, str]:
    schema = parameter.get("schema", {})
    one = {**schema, **next((s for s in schema.get("oneOf", []) if s.get("type") != "null"), {})}
    words = [{"integer": "a whole number", "string": "a text"}.get(one.get("type", ""), "a value")]
    if "minimum" in one or "maximum" in one:
        words.append(f"{one.get('minimum', '')} to {one.get('maximum', '')}".strip())
    if "maxLength" in one:
        words.append(f"at most {one['maxLength']} characters")
    if parameter.get("required"):
        words.append("required")
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "shape": ", ".join(words),
        "text": parameter.get("description") or one.get("description", ""),
    }


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
