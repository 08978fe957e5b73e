"""The customers of the simulated shop: invented, the same for the same seed.

In:    a seed and a customer's number.
Out:   a `Customer`: name, language, devices, addresses in domains that can never belong to anybody.
Never: a real person. Names are pantry jokes, e-mail domains are those of RFC 2606, telephone numbers are from ranges
       that regulators keep for films.
"""

import unicodedata
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from tillit.simulate.languages import LANGUAGES, PLAIN, ROMAN, WEIGHTS, Language

# Planted stories need a cast: who plays which part follows from the last two digits of a customer's number.
CAST = 100
# Households, by the first number of each: how many live there. The first two have planted stories (traps.py).
HOUSEHOLDS = {34: 3, 37: 2, **dict.fromkeys(range(60, 80, 2), 2)}
_HEAD_OF = {first + i: first for first, size in HOUSEHOLDS.items() for i in range(size)}
# Stories about telephones need a country with enough numbers.
_NEEDS_PHONE = frozenset({18, 19, 20})
_SAME_NAME = {40: 39}
_FRENCH = next(language for language in LANGUAGES if language.country == "FR")


class Customer(NamedTuple):
    """One invented customer."""

    number: int
    user_id: str
    first_name: str
    last_name: str
    email: str
    new_email: str  # what they change to, when they change it
    phone: str | None
    new_phone: str | None
    card: str
    language: Language
    household: int  # the number of its first member; of people who live alone their own
    address: str
    devices: tuple[str, ...]  # anonymous ids of browsers: a telephone's, often a computer's
    user_agents: tuple[str, ...]  # one per device
    app_device: str  # anonymous id of the app
    model: tuple[str, str, str, str]  # of the telephone: maker, model, system, its version


_CUMULATIVE = tuple(accumulate(WEIGHTS))
_DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "post.example.com")

_PHONES = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1 Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
)
_COMPUTERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
)
_MODELS = (
    ("Apple", "iPhone16,1", "iOS", "18.5"),
    ("Google", "Pixel 9", "Android", "15"),
    ("Fairphone", "FP5", "Android", "15"),
)


def list_languages() -> list[str]:
    """Give the locales that customers have."""
    return [language.locale for language in LANGUAGES]


def build_customer(seed: int, number: int) -> Customer:
    """Invent one customer: the same for the same seed and number, however many others there are."""
    rng = Random(seeding(seed, number, 0, "customer"))
    language = rng.choices(LANGUAGES, cum_weights=_CUMULATIVE)[0]
    first, last = rng.choice(language.given), rng.choice(language.family)
    n_devices = 1 if rng.random() < 0.45 else 2
    agents = (rng.choice(_PHONES), rng.choice(_COMPUTERS))
    domain = rng.choice(_DOMAINS)
    address = f"{language.street} {rng.randrange(1, 90)}, {language.city}"
    model = rng.choice(_MODELS)
    devices = tuple(random_uuid(rng) for _ in range(n_devices + 1))
    role = number % CAST
    if role in _NEEDS_PHONE:
        language = _FRENCH
    head = number - role + _HEAD_OF.get(role, role)
    if head != number:
        first_member = build_customer(seed, head)
        language, address, last = first_member.language, first_member.address, first_member.last_name
        first = rng.choice(language.given)
    if role in _SAME_NAME:
        namesake = build_customer(seed, number - role + _SAME_NAME[role])
        language, first, last = namesake.language, namesake.first_name, namesake.last_name
    # The customer's number keeps addresses apart: names repeat among thousands.
    given, family = _ascii(first), _ascii(last)
    return Customer(
        number=number,
        user_id=f"c-{number:06d}",
        first_name=first,
        last_name=last,
        email=f"{given}.{family}{number}@{domain}",
        new_email=f"{family}{number}.{given}@{domain}",
        phone=_phone(language, number),
        new_phone=f"{language.phones[-1].prefix}{number:04d}" if role == 18 and number < 10_000 else None,
        card=f"card-{700_000_000 + number * 7:d}",
        language=language,
        household=head,
        address=address,
        devices=devices[:n_devices],
        user_agents=agents[:n_devices],
        app_device=devices[-1],
        model=model,
    )


def seeding(seed: int, number: int, index: int, what: str) -> int:
    """Give a number that seeds one source of chance for one purpose: no two purposes share it."""
    return ((seed << 40 | number) << 24 | index) << 64 | int.from_bytes(what.encode()[-8:], "big")


def random_uuid(rng: Random) -> str:
    """Give a version 4 UUID from a seeded source."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def mistyped(email: str, rng: Random) -> str:
    """Write an address as hurried thumbs do: still an address, of nobody (the number in it stays)."""
    name, _, domain = email.partition("@")
    at = rng.randrange(1, max(2, len(name.rstrip("0123456789")) - 1))
    kind = rng.randrange(3)
    if kind == 0 and name[at] != name[at + 1]:
        name = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    elif kind == 1:
        name = name[:at] + name[at + 1 :]
    else:
        name = name[:at] + name[at] + name[at:]
    return f"{name}@{domain}"


def _phone(language: Language, number: int) -> str | None:
    """Give each number once: a telephone that two people share would join them.

    The last French range is for those who change their number.
    """
    left = number
    for prefix, n_digits in language.phones[:-1] if language is _FRENCH else language.phones:
        if left < 10**n_digits:
            # PTS keeps 05 to 99 after its mobile prefix.
            return f"{prefix}{left:0{n_digits}d}" if n_digits > 2 or left >= 5 else None
        left -= 10**n_digits
    return None


@lru_cache(maxsize=1024)
def _ascii(text: str) -> str:
    roman = ROMAN.get(text)
    if roman is not None:
        return roman
    apart = unicodedata.normalize("NFKD", text.translate(PLAIN)).encode("ascii", "ignore").decode()
    return apart.lower()
