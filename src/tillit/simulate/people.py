"""The customers of the simulated shop: invented, the same for the same seed.

In:    a seed and a customer's number.
Out:   a `Customer`: name, language, address in a domain that can never belong to anybody.
Never: a real person. Names are pantry jokes, e-mail domains are those of RFC 2606, telephone numbers are from ranges
       that regulators keep for films.
"""

# ruff: noqa: RUF001 -- Turkish names have dotless letters

import unicodedata
import uuid
from random import Random
from typing import NamedTuple


class Language(NamedTuple):
    """What customers of one country have in common."""

    locale: str
    country: str
    city: str
    timezone: str
    currency: str
    price_share: int  # minor units that one euro cent makes, as a percentage
    given: tuple[str, ...]
    family: tuple[str, ...]
    phone_prefix: str  # empty: no range for films is known
    phone_digits: int


class Customer(NamedTuple):
    """One invented customer."""

    number: int
    user_id: str
    first_name: str
    last_name: str
    email: str
    phone: str | None
    language: Language
    devices: tuple[str, ...]  # anonymous ids: a telephone, often a computer
    user_agents: tuple[str, ...]  # one per device
    is_regular: bool  # buys at the till, too
    wants_newsletter: bool


# Ranges for films: Ofcom 07700 900000 to 900999, ARCEP 01 99 00 xx xx, PTS 070-174 06 05 to 99 (here 10 to 99).
LANGUAGES: tuple[Language, ...] = (
    Language(
        "en-GB",
        "GB",
        "Leeds",
        "Europe/London",
        "GBP",
        86,
        ("Alice", "Bea", "Calum", "Daisy", "Edwin", "Flora", "Gus", "Hazel", "Imran", "Jo", "Kit", "Lottie"),
        ("Teapotter", "Marmaladeson", "Picklewick", "Crumpetley", "Scone-Hall", "Butterworthy", "Biscuitson"),
        "+447700900",
        3,
    ),
    Language(
        "sv-SE",
        "SE",
        "Umeå",
        "Europe/Stockholm",
        "SEK",
        1120,
        ("Åsa", "Björn", "Cecilia", "Elin", "Göran", "Hedda", "Jonas", "Linnéa", "Måns", "Nils", "Tuva", "Östen"),
        ("Blåbärslund", "Lingonqvist", "Kanelbullström", "Granbarr", "Smörgåsdotter", "Hjortronmyr"),
        "+467017406",
        2,
    ),
    Language(
        "de-DE",
        "DE",
        "Jena",
        "Europe/Berlin",
        "EUR",
        100,
        ("Anke", "Bernd", "Dörte", "Emil", "Greta", "Jürgen", "Käthe", "Lutz", "Mira", "Özge", "Uwe", "Zoë"),
        ("Apfelstrudel", "Kuckucksuhr", "Brezelmann", "Löffelholz", "Pflaumenkuch", "Rübezahler"),
        "",
        0,
    ),
    Language(
        "fr-FR",
        "FR",
        "Dijon",
        "Europe/Paris",
        "EUR",
        100,
        ("Amélie", "Benoît", "Chloé", "Désiré", "Éloïse", "François", "Gaëlle", "Hugo", "Inès", "Léa", "Noé"),
        ("Croissantier", "Baguettin", "Ratatouillard", "Moutardier", "Brioche-Dorée", "Camembault"),
        "+3319900",
        4,
    ),
    Language(
        "es-ES",
        "ES",
        "Cádiz",
        "Europe/Madrid",
        "EUR",
        100,
        ("Ana", "Begoña", "César", "Dolores", "Iñaki", "Jesús", "Lucía", "Nuria", "Óscar", "Raúl", "Sofía"),
        ("Churrería", "Naranjal", "Tortillero", "Gazpachuelo", "Aceitunera", "Pimentón"),
        "",
        0,
    ),
    Language(
        "pt-PT",
        "PT",
        "Évora",
        "Europe/Lisbon",
        "EUR",
        100,
        ("Ana", "Bruno", "Conceição", "Duarte", "Inês", "João", "Leonor", "Mafalda", "Simão", "Tomás"),
        ("Pastelinho", "Bacalhoeiro", "Caldo-Verde", "Azeitão", "Ginjinha"),
        "",
        0,
    ),
    Language(
        "tr-TR",
        "TR",
        "İzmir",
        "Europe/Istanbul",
        "TRY",
        4700,
        ("Ayşe", "Burak", "Cem", "Çiğdem", "Deniz", "Elif", "Gül", "Işıl", "Mehmet", "Ömer", "Şule"),
        ("Çaydanlık", "Lokumcu", "Baklavacı", "Simitçioğlu", "Zeytinbağ"),
        "",
        0,
    ),
    Language(
        "pl-PL",
        "PL",
        "Łódź",
        "Europe/Warsaw",
        "PLN",
        425,
        ("Agnieszka", "Błażej", "Celina", "Grażyna", "Jacek", "Łucja", "Małgorzata", "Paweł", "Zofia", "Żaneta"),
        ("Pierogowska", "Bigosik", "Makowiec", "Szarlotka", "Żurek"),
        "",
        0,
    ),
    Language(
        "ja-JP",
        "JP",
        "金沢",
        "Asia/Tokyo",
        "JPY",
        165,
        ("さくら", "ひなた", "あおい", "はると", "みお", "そうた"),
        ("茶碗", "団子", "味噌汁", "桜餅"),
        "",
        0,
    ),
)
# How many of a hundred customers speak which, in the order above.
_WEIGHTS = (26, 20, 14, 11, 8, 6, 6, 5, 4)

_DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "post.example.com")
_ROMAN = {
    "さくら": "sakura", "ひなた": "hinata", "あおい": "aoi", "はると": "haruto", "みお": "mio", "そうた": "sota",
    "茶碗": "chawan", "団子": "dango", "味噌汁": "misoshiru", "桜餅": "sakuramochi",
}  # fmt: skip
_PLAIN = str.maketrans({"ł": "l", "Ł": "l", "ı": "i", "ß": "ss", "ø": "o", "-": "", "'": ""})

_PHONES = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1 Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
)
_COMPUTERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
)


def list_languages() -> list[str]:
    """Give the locales that customers have."""
    return [language.locale for language in LANGUAGES]


def build_customer(seed: int, number: int) -> Customer:
    """Invent one customer: the same for the same seed and number, however many others there are."""
    rng = Random(f"tillit customer {seed} {number}")
    language = rng.choices(LANGUAGES, weights=_WEIGHTS)[0]
    first, last = rng.choice(language.given), rng.choice(language.family)
    n_devices = rng.choices((1, 2), weights=(45, 55))[0]
    agents = [rng.choice(_PHONES), rng.choice(_COMPUTERS)]
    # The customer's number keeps addresses apart: names repeat among thousands.
    email = f"{_ascii(first)}.{_ascii(last)}{number}@{rng.choice(_DOMAINS)}"
    phone = None
    # Each number once: a telephone that two people share would join them.
    if language.phone_prefix and number < 10**language.phone_digits and (language.phone_digits > 2 or number >= 10):
        phone = f"{language.phone_prefix}{number:0{language.phone_digits}d}"
    return Customer(
        number=number,
        user_id=f"c-{number:06d}",
        first_name=first,
        last_name=last,
        email=email,
        phone=phone,
        language=language,
        devices=tuple(random_uuid(rng) for _ in range(n_devices)),
        user_agents=tuple(agents[:n_devices]),
        is_regular=rng.random() < 0.35,
        wants_newsletter=rng.random() < 0.5,
    )


def random_uuid(rng: Random) -> str:
    """Give a version 4 UUID from a seeded source."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def mistyped(email: str, rng: Random) -> str:
    """Write an address as hurried thumbs do: still an address, of nobody."""
    name, _, domain = email.partition("@")
    at = rng.randrange(1, len(name) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        name = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    elif kind == 1:
        name = name[:at] + name[at + 1 :]
    else:
        name = name[:at] + name[at] + name[at:]
    return f"{name}@{domain}"


def _ascii(text: str) -> str:
    roman = _ROMAN.get(text)
    if roman is not None:
        return roman
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()
    return apart.lower()
