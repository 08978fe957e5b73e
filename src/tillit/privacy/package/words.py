"""The words of a package: what its tables are called, what was left out and why, which rights there are.

In:    the kind of a package.
Out:   texts, in plain English.
Never: a value of anybody's.
"""

from typing import NamedTuple

ACCESS, PORTABILITY = "access", "portability"


class Section(NamedTuple):
    """One table of a package. Its columns are ours; whatever else a row says stands under `more`."""

    name: str  # of the file, too
    title: str
    told: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...] = (ACCESS,)


BOTH = (ACCESS, PORTABILITY)
SECTIONS = (
    Section(
        "identifiers",
        "What we know you by",
        "Names of yours in our systems: addresses, numbers, browsers and devices.",
        ("namespace", "value", "first_seen_at", "last_seen_at", "trust"),
        BOTH,
    ),
    Section(
        "traits",
        "What we know about you",
        "Each value with where it came from, when, and how well the sender was known.",
        ("name", "value", "at", "source", "trust", "event_id"),
        BOTH,
    ),
    Section(
        "facts",
        "What we concluded",
        "Conclusions that protect people: whether somebody is a minor or has died.",
        ("name", "value"),
    ),
    Section(
        "groups",
        "Households and accounts",
        "Groups to which you are said to belong. Who else belongs to them is not shown.",
        ("group", "kind", "name", "role", "since", "until", "source", "trust", "event_id"),
    ),
    Section(
        "consent",
        "What you allowed and refused",
        "Your answers, each with the notice you were shown.",
        ("purpose", "state", "said_at", "notice", "how", "source", "event_id"),
        BOTH,
    ),
    Section(
        "purposes",
        "What we use your data for",
        "Every purpose, on what ground, for how long, and who receives data for it.",
        ("name", "title", "basis", "retention", "recipients", "permitted", "reason"),
    ),
    Section(
        "disclosures",
        "Who received your data",
        "What left us, to whom, for what, and on which ground.",
        ("at", "recipient", "role", "purpose", "basis", "fields", "categories", "channel", "country"),
    ),
    Section(
        "accesses",
        "Who looked at your data",
        "Reads by staff and programs, with role and time. Names of employees are not shown.",
        ("at", "role", "route", "purpose", "break_glass"),
    ),
    Section(
        "events",
        "What happened",
        "Every event that belongs to you, newest first.",
        ("event_at", "received_at", "type", "name", "source", "properties", "traits", "context", "event_id"),
        BOTH,
    ),
    Section(
        "staff_words",
        "What our staff wrote",
        "Notes and corrections by colleagues.",
        ("at", "type", "text", "traits", "reason", "event_id"),
    ),
    Section(
        "sources",
        "Where your data came from",
        "How many events came from each source.",
        ("source", "n_events"),
    ),
)

TITLES = {ACCESS: "Your data", PORTABILITY: "Your data, to take with you"}
LEFT_OUT = {
    ACCESS: (
        "Values that name other people (given to somebody else, guardians, addresses not known to be yours).",
        "Names of employees; their role and the time are told.",
        "What was forgotten before: of it we hold nothing.",
    ),
    PORTABILITY: (
        "What we or others concluded: facts, counts, groups. A request for access shows them.",
        "Notes and corrections of our staff. What you told us yourself stands among the events.",
        "Values that name other people, and addresses not known to be yours.",
    ),
}
RIGHTS = (
    ("Correction", "Ask us to correct what is wrong or to complete what is missing."),
    ("Erasure", "Ask us to erase your data. Where a law makes us keep something, we say what and until when."),
    ("Restriction", "Ask us to keep your data and not use it while a question is open."),
    ("Objection", "Object to what we do on the ground of a legitimate interest, and to advertising at any time."),
    ("Withdrawal", "Take back what you allowed, at any time; it counts from then on."),
    ("Portability", "Ask for what you gave us in a form that another service can read."),
    ("Complaint", "Complain to your data protection authority, where you live or where we are."),
)
README = """\
{title}

Made on {made_at} UTC, of kind {kind}, for request {request_id}.

index.html      for reading: open it in a browser. It needs no network and runs no program.
data.json       everything, for programs (UTF-8 JSON).
tables/*.csv    the same as tables (UTF-8, commas, every cell in quotes).
contents.json   how many rows each table has.

About the CSV files
A cell that a spreadsheet could take for a formula has an apostrophe before it, and so has a cell that began with an
apostrophe. Programs: where a cell begins with an apostrophe, take one off, and you have the exact value.
Lists and objects are written as JSON. data.json needs no such care.

index.html shows the first {most} rows of long tables; the files hold all.
Times are UTC. "trust" says how well the sender was known: claimed (anyone can say it), server (our own systems),
operator (our staff), verified (you proved it).

Not in here
{left_out}
Withheld this time: {withheld}
"""
