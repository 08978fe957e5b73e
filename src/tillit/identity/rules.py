"""Rules: which kinds of identifier there are, how strong each is, which values count, how many a person may have.

In:    a definition as people write it (YAML).
Out:   `Rules`: the identifiers of an event, strongest first; limits.
Never: a rule that depends on anything but the text; a pattern that a value could make run for ever.
"""

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import re2
import yaml

from tillit.clock import DAY, HOUR
from tillit.errors import InputError
from tillit.identity.namespaces import (
    ADDRESS_PLACE,
    ALIAS_PLACE,
    ALIAS_RANK,
    DEVICE_RANK,
    EXTERNAL_PLACE,
    MAX_EXTERNAL,
    MAX_PROVEN,
    PROVEN_PLACE,
    SHARED_RANK,
    Event,
    Handle,
    address,
    digits,
    email,
    is_name,
    is_of_group,
    lower,
    phone,
    plain,
)
from tillit.records import IDENTITY_ACT_TYPES, NotReadable, read_yaml

_WEAK_RANK = 1_000
_CLASS = {"strong": 0, "weak": _WEAK_RANK, "device": DEVICE_RANK, "shared": SHARED_RANK}
_NORMALISERS: dict[str, Callable[[str], str | None]] = {
    "plain": plain,
    "lower": lower,
    "digits": digits,
    "email": email,
    "phone": phone,
    "address": address,
}
_WINDOWS = {"ever": 0, "hourly": HOUR, "daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY, "annually": 365 * DAY}
# Segment's names of handles that belong to a device.
DEVICE_KINDS = tuple(
    "anonymous_id android.id android.idfa android.push_token ios.id ios.idfa ios.push_token ga_client_id "
    "cross_domain_id".split()
)
_CACHED = 65_536
_LONGEST = 100_000  # of a definition, in characters
_DIGITS = 6  # of a number in it
_MOST_NAMESPACES = 200
_PATTERNS = re2.Options()
_PATTERNS.log_errors = False


Count = Annotated[int, msgspec.Meta(ge=0, lt=10**_DIGITS)]


class RulesInvalid(InputError):
    """A definition of identity rules cannot be read."""

    code = "identity.rules-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong, and where."""
        super().__init__(f"These identity rules cannot be used: {why}", field="rules")


class Limit(NamedTuple):
    """How many of something one person may have, or may get within a time."""

    n: int
    window: int  # microseconds; 0: ever
    text: str

    @staticmethod
    def read(text: str | int) -> "Limit | None":
        """Read `5 weekly`; a number alone is for ever; `none` is no limit.

        >>> Limit.read("5 weekly").window // 86_400_000_000
        7
        """
        words = str(text).split() or [""]
        name = words[1] if len(words) > 1 else "ever"
        if words == ["none"]:
            return None
        is_number = words[0].isascii() and words[0].isdigit() and len(words[0]) <= _DIGITS
        if not is_number or int(words[0]) < 1 or name not in _WINDOWS or words[2:]:
            told = f"{str(text)[:40]!r}"
            raise RulesInvalid(f"a limit is a number from 1 and one of {', '.join(_WINDOWS)}, or none, not {told}.")
        return Limit(int(words[0]), _WINDOWS[name], f"{int(words[0])} {name}")


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values that stand for nobody."""

    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()  # found anywhere in the value; RE2


class NamespaceRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for one kind of identifier."""

    strength: Literal["strong", "weak", "device", "shared"] = "strong"
    rank: int = 10  # among those of one strength; lower is stronger
    normalise: Literal["plain", "lower", "digits", "email", "phone", "address"] = "plain"
    pattern: str = ""  # what a value must look like, all of it; RE2
    block: Block = Block()
    limit: str | Count = "20 ever"
    alphabets: Literal["any", "one"] = "any"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for a person as a whole."""

    identifiers: str | Count = "100 ever"
    growth: str | Count = "30 hourly"
    birth_dates: Literal["one", "any"] = "one"


class Automatic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a value is found to stand for many: it is blocked (0: never)."""

    people: Count = 50  # who said it of themselves
    devices: Count = 200  # that said it
    holders: Count = 50  # of one device
    except_for: tuple[str, ...] = ("user_id",)  # of these kinds only an alarm is raised


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A definition of identity rules, whole."""

    namespaces: dict[str, NamespaceRules]
    others: NamespaceRules
    person: Person
    automatic: Automatic


_DEFAULTS: dict[str, Any] = {
    "namespaces": {
        "user_id": {"rank": 0, "limit": "1 ever"},
        "email": {"rank": 20, "normalise": "email", "limit": "5 ever", "alphabets": "one"},
        "phone": {"rank": 30, "normalise": "phone", "limit": "5 ever"},
        **{name: {"strength": "device", "limit": "none"} for name in DEVICE_KINDS},
    },
    "others": {},
    "person": {},
    "automatic": {},
}


# Kinds that are looked for only where a definition names them.
_OPTIONAL: dict[str, Any] = {"address": {"strength": "shared", "normalise": "address", "limit": "none"}}


class Namespace(NamedTuple):
    """One kind of identifier under the rules."""

    name: str
    rank: int
    normalise: Callable[[str], str | None]
    limit: Limit | None
    one_alphabet: bool

    @property
    def is_device(self) -> bool:
        """Say whether identifiers of this kind belong to things that people share and pass on."""
        return DEVICE_RANK <= self.rank < SHARED_RANK


class Rules:
    """The rules of who is who, read once."""

    def __init__(self, definition: Definition) -> None:
        """Prepare every namespace that the definition names."""
        self.definition = definition
        self.automatic = definition.automatic
        self.identifiers = Limit.read(definition.person.identifiers)
        self.growth = Limit.read(definition.person.growth)
        self.one_birth_date = definition.person.birth_dates == "one"
        self._namespaces: dict[str, Namespace | None] = {
            name: _namespace(name, told) for name, told in definition.namespaces.items()
        }
        self._other = _namespace("others", definition.others)
        self.shares = any(kind.strength == "shared" for kind in definition.namespaces.values()) or (
            definition.others.strength == "shared"
        )
        self.takes_addresses = "address" in definition.namespaces
        self._cache: dict[tuple[str, str, int], Handle | None] = {}

    def namespace(self, name: str) -> Namespace | None:
        """Give the namespace of this name, or None when no identifier can be called so."""
        try:
            return self._namespaces[name]
        except KeyError:
            found = self._other._replace(name=name) if is_name(name) else None
            if len(self._namespaces) < _CACHED:
                self._namespaces[name] = found
            return found

    def parse(self, text: str) -> Handle | None:
        """Read `namespace:value` as people write it; None when it is no handle.

        >>> DEFAULT_RULES.parse("email: Ana@Example.org").value
        'ana@example.org'
        """
        name, colon, value = text.partition(":")
        return self.handle(name, value) if colon else None

    def handle(self, name: str, value: object, place: int = 0) -> Handle | None:
        """Normalise one value of one namespace; None when it is no handle."""
        kind = self.namespace(name)
        if kind is None or not (isinstance(value, str) or (name == "address" and isinstance(value, dict))):
            return None
        written = kind.normalise(value)  # type: ignore[arg-type]  # an address may come in parts
        return Handle(kind.rank, name, written, place) if written is not None else None

    def _handle(self, name: str, value: str, place: int) -> Handle | None:
        key = (name, value, place)
        try:
            return self._cache[key]
        except KeyError:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            found = self._cache[key] = self.handle(name, value, place)
            return found

    def proven(self, event: Event) -> list[Handle]:
        """Give the identifiers that an event's identity token names, its subject first; none when it proves nothing."""
        told = event.proof
        if not isinstance(told, dict) or "sub" not in told:
            return []
        also = told.get("also")
        pairs = [told["sub"], *(also[:MAX_PROVEN] if isinstance(also, list) else ())]
        found: dict[tuple[str, str], Handle] = {}
        for place, pair in enumerate(pairs, PROVEN_PLACE):
            h = self.handle(str(pair[0]), pair[1], place) if isinstance(pair, list) and len(pair) > 1 else None
            if h is not None and h.rank < DEVICE_RANK:
                found.setdefault(h.key, h)
        return list(found.values())

    def handles_of(self, event: Event) -> list[Handle]:
        """Give an event's identifiers, strongest first, each once, with the place that named it first.

        An alias call's previous id comes last, with rank ALIAS_RANK: what it is depends on what is known.
        """
        found: list[Handle] = []
        if event.type == "husk" or event.type in IDENTITY_ACT_TYPES:
            pairs = event.identifiers if isinstance(event.identifiers, list) else []
            return [
                h
                for place, pair in enumerate(pairs)
                if pair and (h := self.handle(str(pair[0]), pair[1], place)) is not None
            ]
        if event.proof is not None:
            # First, so that of one strength it is what the event is about.
            found += self.proven(event)
        if event.userId is not None and (h := self._handle("user_id", event.userId, 0)) is not None:
            found.append(h)
        # Before other devices: every event of an SDK carries it, an advertising id comes and goes.
        if event.anonymousId is not None and (h := self._handle("anonymous_id", event.anonymousId, 1)) is not None:
            found.append(h)
        said = event.traits if event.type == "identify" and isinstance(event.traits, dict) else None
        context = event.context
        if said is not None:
            for place, name in ((2, "email"), (3, "phone")):
                if name in said and (h := self.handle(name, said[name], place)) is not None:
                    found.append(h)
            if self.takes_addresses and "address" in said:
                h = self.handle("address", said["address"], ADDRESS_PLACE)
                if h is not None:
                    found.append(h)
        if context is not None:
            if context.traits is not None:
                for place, name, value in ((4, "email", context.traits.email), (5, "phone", context.traits.phone)):
                    if value is not None and (h := self.handle(name, value, place)) is not None:
                        found.append(h)
            if isinstance(context.externalIds, list):
                for place, item in enumerate(context.externalIds[:MAX_EXTERNAL], EXTERNAL_PLACE):
                    if isinstance(item, dict) and not is_of_group(item):
                        h = self.handle(str(item.get("type", "")), item.get("id"), place)
                        if h is not None:
                            found.append(h)
        if len(found) == 2 and found[0][0] != found[1][0]:
            if found[0][0] > found[1][0]:
                found.reverse()
        elif len(found) > 1:
            # Of one strength the first said comes first: a user id among the external ids never outranks the event's.
            once: dict[tuple[str, str], Handle] = {}
            for h in found:
                once.setdefault(h[1:3], h)
            found = sorted(once.values(), key=itemgetter(0))
        if event.type == "alias" and event.previousId is not None:
            previous = plain(event.previousId)
            if previous is not None and previous != event.userId:
                found.append(Handle(ALIAS_RANK, "previous", previous, ALIAS_PLACE))
        return found


def is_weak(rank: int) -> bool:
    """Say whether an identifier of this rank cannot bring two known people together."""
    return _WEAK_RANK <= rank < DEVICE_RANK


@lru_cache(maxsize=16)
def read_rules(text: str) -> Rules:
    """Read a definition. What it leaves out stays as it is by default.

    Raises: RulesInvalid, which says what is wrong and where.
    """
    if len(text) > _LONGEST:
        raise RulesInvalid(f"they are longer than {_LONGEST:,} characters.")
    told = _read_yaml(text)
    if told is None:
        told = {}
    if not isinstance(told, dict):
        raise RulesInvalid("they are not `name: value` pairs.")
    whole: dict[str, Any] = dict(told)
    for part, defaults in _DEFAULTS.items():
        mine = whole.get(part)
        if mine is None:
            whole[part] = defaults
        elif part != "namespaces" and isinstance(mine, dict):
            whole[part] = defaults | mine
    named = whole["namespaces"]
    if isinstance(named, dict):
        if len(named) > _MOST_NAMESPACES:
            raise RulesInvalid(f"they name more than {_MOST_NAMESPACES} namespaces.")
        others = whole["others"] if isinstance(whole["others"], dict) else {}
        built_in = _DEFAULTS["namespaces"]
        known = {**built_in, **_OPTIONAL}
        whole["namespaces"] = {
            **built_in,
            **{
                str(name): {**known.get(name, others), **(more or {})} if isinstance(more or {}, dict) else more
                for name, more in named.items()
            },
        }
    try:
        return Rules(msgspec.convert(whole, Definition))
    except msgspec.ValidationError as exc:
        what, _, where = str(exc).partition(" - at ")
        raise RulesInvalid(f"{what}{f' at {where}' if where else ''}.".replace("`$", "`")) from None


def _read_yaml(text: str) -> Any:
    try:
        return read_yaml(text)
    except NotReadable as exc:
        raise RulesInvalid(f"they are {exc}") from None


def write_rules(rules: Rules) -> str:
    """Write all of a definition, also what was left out, as people would."""
    told = msgspec.to_builtins(rules.definition)
    plainest = msgspec.to_builtins(NamespaceRules())
    for kind in told["namespaces"].values():
        for name in [
            name for name, value in kind.items() if value == plainest[name] and name not in {"strength", "rank"}
        ]:
            del kind[name]
    return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100))


def _namespace(name: str, told: NamespaceRules) -> Namespace:
    if name != "address" and not is_name(name):
        raise RulesInvalid(f"a namespace is called in small letters, digits, dots and underscores, not {name!r}.")
    if not 0 <= told.rank < _WEAK_RANK:
        raise RulesInvalid(f"the rank of {name} is not between 0 and {_WEAK_RANK - 1}.")
    if name == "user_id" and told.strength != "strong":
        raise RulesInvalid("user_id must be strong: it is what your own systems call a person.")
    normalise = _NORMALISERS[told.normalise]
    if told.pattern or told.block.values or told.block.patterns:
        normalise = _Checked(name, told, normalise)
    return Namespace(
        name, _CLASS[told.strength] + told.rank, normalise, Limit.read(told.limit), told.alphabets == "one"
    )


class _Checked:
    """A normaliser, and what its values must and must not be."""

    def __init__(self, name: str, told: NamespaceRules, normalise: Callable[[str], str | None]) -> None:
        self._normalise = normalise
        self._pattern = _compiled(name, told.pattern) if told.pattern else None
        self._blocked = {written for value in told.block.values if (written := normalise(value)) is not None}
        self._patterns = [_compiled(name, pattern) for pattern in told.block.patterns]

    def __call__(self, value: str) -> str | None:
        written = self._normalise(value)
        if written is None or written in self._blocked:
            return None
        if self._pattern is not None and self._pattern.fullmatch(written) is None:
            return None
        return None if any(pattern.search(written) for pattern in self._patterns) else written


def _compiled(name: str, pattern: str) -> Any:
    try:
        return re2.compile(pattern, _PATTERNS)
    except re2.error as exc:
        why = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise RulesInvalid(f"the pattern {pattern!r} of {name} cannot be read: {why}.") from None


@lru_cache(maxsize=_CACHED)
def alphabets_of(value: str) -> frozenset[str]:
    r"""Give the alphabets that the letters of a value come from.

    >>> sorted(alphabets_of("\u0430na@example.org"))
    ['CYRILLIC', 'LATIN']
    """
    return frozenset(unicodedata.name(c, "UNKNOWN").split(" ", 1)[0] for c in value if c.isalpha())


def mixes_alphabets(value: str) -> bool:
    """Say whether one word of a value has letters of several alphabets: it looks like another and is not.

    Chinese, Japanese and Korean write words in several.
    """
    together = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}
    for word in value.replace("@", " ").replace(".", " ").split():
        if not word.isascii():
            told = alphabets_of(word)
            if len(told) > 1 and not (told - {"LATIN"} <= together):
                return True
    return False


DEFAULT_RULES = read_rules("")
