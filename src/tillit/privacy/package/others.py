"""Other people in one person's data: what names them is withheld, and counted.

In:    a document of one person; which identifiers are their own.
Out:   the document without what names others, and how often each reason applied.
Never: a guess about free text. Names inside notes are for a colleague to read before the package goes out.

Source: GDPR Art. 15(4) and 20(4): a copy shall not harm the rights of others.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

ANOTHER_PERSON = "[withheld: names another person]"
COLLEAGUE = "[withheld: a colleague]"
ADDRESS = "[withheld: an address not known to be yours]"

# Keys, without case, blanks, `_` and `-`, whose texts name somebody else. Numbers and booleans stay: they name nobody.
OTHERS: frozenset[str] = frozenset(
    """
    recipient recipientname recipientemail recipientphone giftrecipient giftto giftfor deliverto consignee
    friend friends friendemail invitee invitees invitedby referredby referrername referreremail referralemail
    contact contacts emergencycontact nextofkin guardian guardians guardianname guardianemail parent parents mother
    father child children childname childnames spouse partner partnername husband wife sibling siblings
    members householdmembers beneficiary beneficiaries companion companions passenger passengers
    sharedwith sentto sender sendername senderemail attendees
    """.split()
)
# Who served or looked: role and time are told, the name of the employee is not (CJEU C-579/21).
COLLEAGUES: frozenset[str] = frozenset(
    """
    operator operatorid operatorname actor actorid askedby agent agentid agentname agentemail employee employeeid
    employeename staff staffid staffname salesperson salesrep handledby assignedto assignee cashier cashierid
    cashiername servedby accountmanager
    """.split()
)
_IDS = frozenset({"userid", "anonymousid", "previousid", "profileid"})
_PHONES = frozenset({"phone", "telephone", "mobile", "mobilephone", "phonenumber", "tel"})

# The wide at-sign of some keyboards counts as one.
_EMAIL = re.compile(r"[^\s@\uff20<>\"'(),;:]{1,64}[@\uff20][^\s@\uff20<>\"'(),;:]{1,253}")
_MARKS = str.maketrans("", "", " _-.")
_DEEPEST = 64  # documents of ours are at most 32 deep


class Own(NamedTuple):
    """What is this person's own."""

    emails: frozenset[str]
    phones: frozenset[str]  # digits
    ids: frozenset[str]  # every identifier, and every id of their profile
    names: frozenset[str]

    @classmethod
    def of(cls, profile: Mapping[str, Any], profile_ids: Iterable[str]) -> "Own":
        """Take a profile document, and the ids that the profile ever had."""
        identifiers = profile.get("identifiers", ())
        told = [(str(one["namespace"]), str(one["value"])) for one in identifiers]
        return cls(
            frozenset(_same(value) for _, value in told if "@" in value),
            frozenset(_digits(value) for namespace, value in told if namespace == "phone"),
            frozenset({*(value for _, value in told), *profile_ids}),
            frozenset(_own_names(profile.get("traits", {}))),
        )


class Redactor:
    """Withholds what names others, and counts it by table and reason."""

    def __init__(self, own: Own) -> None:
        """Know what is the person's own."""
        self._own = own
        self.counted: Counter[tuple[str, str]] = Counter()

    def redact(self, table: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Give a document without what names others."""
        return {key: self._under(table, key, value, 0) for key, value in document.items()}

    def named(self, table: str, name: str, value: Any) -> Any:
        """Give a value that stands under a name."""
        return self._under(table, name, value, 0)

    def text(self, table: str, text: str) -> str:
        """Withhold addresses that are not the person's own, wherever they stand in a text."""

        def judge(found: re.Match[str]) -> str:
            address = found[0].rstrip(".!?")
            rest = found[0][len(address) :]
            if _same(address) in self._own.emails:
                return found[0]
            return self._withhold(table, ADDRESS) + rest

        return _EMAIL.sub(judge, text)

    def _under(self, table: str, key: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int, float)) or value in ("", [], {}):
            return value
        plain = _plain(key)
        if plain in OTHERS and not (isinstance(value, str) and self._is_own(value)):
            return self._withhold(table, ANOTHER_PERSON)
        if plain in COLLEAGUES:
            return self._withhold(table, COLLEAGUE)
        if isinstance(value, str):
            if plain in _IDS and value not in self._own.ids:
                return self._withhold(table, ANOTHER_PERSON)
            if plain in _PHONES and _digits(value) not in self._own.phones:
                return self._withhold(table, ADDRESS)
        return self._value(table, value, depth)

    def _value(self, table: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(table, value) if "@" in value or "\uff20" in value else value
        if depth > _DEEPEST:
            return self._withhold(table, ANOTHER_PERSON)
        if isinstance(value, Mapping):
            told: dict[str, Any] = {}
            for key, one in value.items():
                name = self.text(table, str(key))
                while name in told:
                    name += "+"  # two addresses as keys are two, also when neither may be shown
                told[name] = self._under(table, str(key), one, depth + 1)
            return told
        if isinstance(value, (list, tuple)):
            return [self._value(table, one, depth + 1) for one in value]
        return value

    def _is_own(self, text: str) -> bool:
        """Say whether a text is the person's own name or address: a parcel may well go to themselves."""
        return _same(text) in self._own.names | self._own.emails or text in self._own.ids

    def _withhold(self, table: str, reason: str) -> str:
        self.counted[table, reason] += 1
        return reason


@lru_cache(maxsize=4_096)
def _plain(key: str) -> str:
    return key.casefold().translate(_MARKS)


def _same(address: str) -> str:
    return unicodedata.normalize("NFKC", address).casefold()


def _own_names(traits: Mapping[str, Any]) -> Iterable[str]:
    told = {key: one.get("value") if isinstance(one, Mapping) else None for key, one in traits.items()}
    first, last = told.get("firstName"), told.get("lastName")
    for name in (told.get("name"), f"{first} {last}" if first and last else None):
        if isinstance(name, str) and name.strip():
            yield _same(name)


def _digits(number: str) -> str:
    return "".join(one for one in number if one.isdigit())
