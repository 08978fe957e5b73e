"""The policy: purposes, the notices they are told by, the controller and the recipients.

In:    a definition as people write it (YAML).
Out:   `Policy`, with a hash under which decisions are kept.
Never: a purpose without a lawful basis, or one that reaches fields which nobody named; a consent that moves to another
       purpose because a name changed.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec
import yaml

from tillit.clock import DAY, instant
from tillit.errors import InputError
from tillit.records import BREAK_GLASS, GPC, LISTED_BASES, NotReadable, read_yaml

Basis = Literal["consent", "contract", "legitimate_interest", "legal_obligation", "vital_interests", "public_task"]
PARTS = ("traits", "identifiers", "events", "groups", "facts", "notes")
Role = Literal["reader", "editor", "admin"]  # of staff, each may do what those before it may
SERVICE = "service"
SIGNALS = (GPC,)  # each is called as its statements are
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SPAN = re.compile(r"(\d{1,4}) (day|week|month|year)s?")
# The short reading of each: neither a consent nor data lasts longer than somebody may have meant.
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_LONGEST = 200_000  # characters of a definition
_MOST = 200  # purposes, recipients, notices


class PolicyInvalid(InputError):
    """A definition of purposes cannot be used."""

    code = "consent.policy-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong, and where."""
        super().__init__(f"These purposes cannot be used: {why}", field="purposes")


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who decides about data, or gets some of it."""

    name: str
    address: str = ""
    contact: str = ""
    url: str = ""
    country: str = ""  # ISO 3166-1 alpha-2
    role: Literal["controller", "joint_controller", "processor", "third_party"] = "processor"


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What people are shown before they choose."""

    version: str
    language: str
    text: str
    effective_from: str  # a day, or an instant
    url: str = ""

    @property
    def text_hash(self) -> str:
        """Give the sha256 of what is shown, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def from_at(self) -> int:
        """Give the instant before which nobody can have been shown it; UTC epoch microseconds."""
        return instant(self.effective_from) or 0


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is otherwise in one jurisdiction."""

    basis: Basis | None = None
    signals: tuple[str, ...] | None = None
    minors: Literal["allowed", "guardian", "never"] | None = None


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why data is used."""

    title: str
    basis: Basis
    fields: tuple[str, ...] | Literal["all"]
    description: str = ""
    dpv: str = ""  # the purpose in the Data Privacy Vocabulary, such as dpv:DirectMarketing
    categories: tuple[str, ...] = ()  # by which consent managers name it
    signals: tuple[str, ...] = ()  # of browsers, that refuse it
    channels: tuple[str, ...] = ()  # empty: any
    recipients: tuple[str, ...] = ()
    notice: str = ""
    valid_for: str = ""  # how long a consent lasts; empty: until it is withdrawn
    confirm: bool = False  # only what the customer proved counts: double opt-in
    minors: Literal["allowed", "guardian", "never"] | None = None
    retention: str = ""
    share: bool = False  # with others who read the lake: `lake/shared/<purpose>/`
    staff: tuple[Role, ...] | None = None  # who may act for it in the console; None: as `staff_of` says
    jurisdictions: dict[str, Override] = {}

    @property
    def valid_us(self) -> int | None:
        """Give how long a consent lasts, in microseconds; None: no end."""
        return span_us(self.valid_for) if self.valid_for else None

    @property
    def retention_us(self) -> int | None:
        """Give how long data is kept for it, in microseconds; None: no end."""
        return span_us(self.retention) if self.retention else None

    @property
    def reach(self) -> frozenset[str] | None:
        """Give the fields it reaches; None: all."""
        return None if self.fields == "all" else frozenset(self.fields)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is declared about what data may be used for."""

    purposes: dict[str, Purpose] = {}
    controller: Party | None = None
    recipients: dict[str, Party] = {}
    notices: dict[str, Notice] = {}
    sources: dict[str, tuple[str, ...]] = {}  # for which purposes alone a source collects


BUILT_IN = {
    "service": Purpose(
        title="Service",
        description="To do what the customer asked for: orders, accounts, help.",
        basis="contract",
        fields="all",
        dpv="dpv:ServiceProvision",
    ),
    "analytics": Purpose(
        title="Analytics",
        description="To count and compare, without acting on a person.",
        basis="legitimate_interest",
        fields="all",
        dpv="dpv:ServiceUsageAnalytics",
    ),
}


# What the person themself may see of their own: no policy declares it, and no key may ask for it.
OWN_DATA = "own_data"
_OWN = Purpose(title="The person's own access", basis="legal_obligation", fields="all")


class Declared:
    """A policy, read: its purposes by name, and the hash of its text."""

    def __init__(self, policy: Policy, *, is_built_in: bool) -> None:
        """Join the built-in purposes where nobody declared their own."""
        self.policy = policy
        self.is_built_in = is_built_in
        self.purposes = policy.purposes or BUILT_IN
        self._all = {**self.purposes, OWN_DATA: _OWN}
        told = msgspec.json.encode(msgspec.structs.replace(policy, purposes=self.purposes), order="deterministic")
        self.hash = hashlib.sha256(told).hexdigest()[:16]

    def find(self, name: str) -> Purpose | None:
        """Give a purpose; also the one that no policy declares."""
        return self._all.get(name)


@lru_cache(maxsize=256)
def span_us(text: str) -> int:
    """Read `24 months` as microseconds; a month counts 30 days, a year 365. Raises PolicyInvalid.

    >>> span_us("2 weeks") == 14 * DAY
    True
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise PolicyInvalid(
            f"a time is a number of days, weeks, months or years, such as '24 months', not {text[:40]!r}."
        )
    return int(found[1]) * _DAYS[found[2]] * DAY


@lru_cache(maxsize=16)
def read_policy(text: str) -> Declared:
    """Read a definition of purposes; an empty one declares the two that are built in. Raises PolicyInvalid."""
    if len(text) > _LONGEST:
        raise PolicyInvalid(f"the text is longer than {_LONGEST:,} characters.")
    try:
        told = read_yaml(text)
    except NotReadable as exc:
        raise PolicyInvalid(f"they are {exc}") from None
    if told is None:
        return Declared(Policy(), is_built_in=True)
    if not isinstance(told, dict):
        raise PolicyInvalid("write `purposes:` and below it one name for each.")
    try:
        policy = msgspec.convert(told, Policy)
    except msgspec.ValidationError as exc:
        what, _, where = str(exc).partition(" - at ")
        raise PolicyInvalid(f"{what}{f' at {where}' if where else ''}.".replace("`$", "`")) from None
    _check(policy)
    return Declared(policy, is_built_in=not policy.purposes)


def _check(policy: Policy) -> None:
    for kind, named in (
        ("purpose", policy.purposes),
        ("recipient", policy.recipients),
        ("notice", policy.notices),
    ):
        if len(named) > _MOST:
            raise PolicyInvalid(f"there are more than {_MOST} of one kind.")
        for name in named:
            if not _NAME.fullmatch(name):
                raise PolicyInvalid(f"a {kind} is called in small letters, digits, - and _, not {name[:40]!r}.")
    for name, notice in policy.notices.items():
        if instant(notice.effective_from) is None:
            raise PolicyInvalid(f"`effective_from` of the notice {name} is no day such as 2026-01-31.")
    for source, collects_for in policy.sources.items():
        if not collects_for:
            raise PolicyInvalid(f"the source {source[:40]!r} collects for nothing: name purposes, or leave it out.")
        for name in collects_for:
            if name not in (policy.purposes or BUILT_IN):
                raise PolicyInvalid(f"the source {source[:40]!r} collects for {name[:40]!r}, which is not declared.")
    for name, purpose in policy.purposes.items():
        _check_purpose(policy, name, purpose)


def _check_purpose(policy: Policy, name: str, purpose: Purpose) -> None:
    if name == OWN_DATA:
        raise PolicyInvalid(f"{OWN_DATA} is what people may see of their own, and is not declared.")
    if name == BREAK_GLASS:
        raise PolicyInvalid(f"{BREAK_GLASS} is what a colleague looks for without leave, and is not declared.")
    if purpose.staff == ():
        raise PolicyInvalid(f"`staff` of {name} names no role: name one, or leave it out.")
    for span in (purpose.valid_for, purpose.retention):
        if span:
            span_us(span)
    if not purpose.fields:
        raise PolicyInvalid(f"the purpose {name} reaches no field: name some, or write `fields: all`.")
    for field in purpose.fields if purpose.fields != "all" else ():
        if field.partition(".")[0] not in PARTS:
            raise PolicyInvalid(f"a field of {name} begins with one of {', '.join(PARTS)}, not {field[:40]!r}.")
    for recipient in purpose.recipients:
        if recipient not in policy.recipients:
            raise PolicyInvalid(f"the purpose {name} names the recipient {recipient!r}, which is not declared.")
    if purpose.notice and purpose.notice not in policy.notices:
        raise PolicyInvalid(f"the purpose {name} names the notice {purpose.notice!r}, which is not declared.")
    overridden = [one.signals for one in purpose.jurisdictions.values() if one.signals is not None]
    for signal in [*purpose.signals, *(signal for told in overridden for signal in told)]:
        if signal not in SIGNALS:
            raise PolicyInvalid(f"a signal of {name} is one of {', '.join(SIGNALS)}, not {signal[:40]!r}.")


def staff_of(name: str, purpose: Purpose) -> tuple[Role, ...]:
    """Say which roles may act for a purpose in the console; whoever may do what these may, may as well.

    Where nobody declared it: for `service` everybody; for what the customer can refuse (marketing, analytics) editors;
    for other duties and contracts admins. Taste.
    """
    if purpose.staff is not None:
        return purpose.staff
    if name == SERVICE:
        return ("reader",)
    return ("editor",) if purpose.basis in LISTED_BASES else ("admin",)


def write_policy(declared: Declared) -> str:
    """Write all of a policy, also what was left out, as people would."""
    told: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(declared.policy, purposes=declared.purposes))
    for purpose in told["purposes"].values():
        for name in [name for name, value in purpose.items() if value in ("", [], {}, None, False)]:
            del purpose[name]
    told = {name: value for name, value in told.items() if value}
    return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100))


SECTIONS = ("controller", "recipients", "notices", "purposes", "sources")


def join_policies(texts: Mapping[str, str]) -> str:
    """Make one definition of several files, each with some of the sections. Raises PolicyInvalid.

    What two files declare under one name is refused: none of them silently wins.
    """
    whole: dict[str, Any] = {}
    for file, text in sorted(texts.items()):
        try:
            told = read_yaml(text)
        except NotReadable as exc:
            raise PolicyInvalid(f"in {file} they are {exc}") from None
        if told is None:
            continue
        if not isinstance(told, dict) or not set(told) <= set(SECTIONS):
            raise PolicyInvalid(f"{file} has other sections than {', '.join(SECTIONS)}.")
        for section, named in told.items():
            if section == "controller":
                if section in whole:
                    raise PolicyInvalid(f"{file} declares a second controller.")
                whole[section] = named
                continue
            if not isinstance(named, dict):
                raise PolicyInvalid(f"in {file}, `{section}:` has one name below it for each.")
            for name, one in named.items():
                if name in whole.setdefault(section, {}):
                    raise PolicyInvalid(f"{file} declares {str(name)[:40]!r} of {section} a second time.")
                whole[section][name] = one
    return str(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=100))
