"""The languages of the simulated shop's customers: names, towns, clocks, and numbers that ring nowhere.

In:    nothing.
Out:   `LANGUAGES`, and how many customers speak each.
Never: a number outside the ranges that regulators keep for films; a name that is more than a joke about food.
"""

# ruff: noqa: RUF001 -- names from many alphabets are the data

from typing import NamedTuple


class PhoneRange(NamedTuple):
    """Numbers kept for fiction: a prefix and how many digits follow."""

    prefix: str
    n_digits: int


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
    street: str
    phones: tuple[PhoneRange, ...]  # empty: no range for films is known


# Ofcom: 07700 900 000 to 999 and, of many towns, 496 0 000 to 999 (here Leeds, Sheffield, Bristol, Glasgow, Liverpool).
_UK = tuple(
    PhoneRange(prefix, 3)
    for prefix in ("+447700900", "+441134960", "+441144960", "+441174960", "+441414960", "+441514960")
)
# PTS: two digits after each of these.
_SWEDEN = tuple(
    PhoneRange(prefix, 2) for prefix in ("+467017406", "+463139006", "+464062804", "+468465004", "+469803192")
)
# ARCEP: four digits after each of these.
_FRANCE = tuple(
    PhoneRange(prefix, 4) for prefix in ("+3319900", "+3326191", "+3335301", "+3346571", "+3353649", "+3363998")
)

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
        "Crumpet Lane",
        _UK,
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
        "Kanelgatan",
        _SWEDEN,
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
        "Brezelweg",
        (),
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
        "rue de la Moutarde",
        _FRANCE,
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
        "plaza del Pimentón",
        (),
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
        "rua do Pastel",
        (),
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
        "Simit Sokak",
        (),
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
        "ulica Makowa",
        (),
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
        "団子町",
        (),
    ),
    Language(
        "ar-EG",
        "EG",
        "طنطا",
        "Africa/Cairo",
        "EGP",
        5300,
        ("أمينة", "بسام", "جميلة", "حسن", "ليلى", "نور", "ياسمين", "زياد"),
        ("الكنافي", "الفستقي", "الطحيني", "الزعتري", "البسبوسي"),
        "شارع الكنافة",
        (),
    ),
    Language(
        "he-IL",
        "IL",
        "חיפה",
        "Asia/Jerusalem",
        "ILS",
        395,
        ("אביגיל", "דניאל", "נועה", "יעל", "איתן", "תמר"),
        ("חלבה", "טחינוביץ", "בורקסי", "זעתרי", "רימון"),
        "רחוב החלבה",
        (),
    ),
    Language(
        "hi-IN",
        "IN",
        "मैसूर",
        "Asia/Kolkata",
        "INR",
        9900,
        ("आशा", "मीरा", "राजू", "सीता", "अर्जुन", "गीता", "कबीर"),
        ("चायवाला", "लड्डूराम", "जलेबीकर", "समोसादास", "हलवाई"),
        "चाय गली",
        (),
    ),
)
# How many of a hundred customers speak which, in the order above.
WEIGHTS = (24, 18, 13, 11, 7, 5, 6, 5, 3, 3, 2, 3)
# Who writes no Latin letters has an address that does.
ROMAN = {
    "さくら": "sakura", "ひなた": "hinata", "あおい": "aoi", "はると": "haruto", "みお": "mio", "そうた": "sota",
    "茶碗": "chawan", "団子": "dango", "味噌汁": "misoshiru", "桜餅": "sakuramochi",
    "أمينة": "amina", "بسام": "bassam", "جميلة": "jamila", "حسن": "hassan", "ليلى": "layla", "نور": "nour",
    "ياسمين": "yasmin", "زياد": "ziad", "الكنافي": "kunafi", "الفستقي": "fustuqi", "الطحيني": "tahini",
    "الزعتري": "zaatari", "البسبوسي": "basbousi",
    "אביגיל": "avigail", "דניאל": "daniel", "נועה": "noa", "יעל": "yael", "איתן": "eitan", "תמר": "tamar",
    "חלבה": "halva", "טחינוביץ": "tahinovich", "בורקסי": "bourekasi", "זעתרי": "zaatri", "רימון": "rimon",
    "आशा": "asha", "मीरा": "meera", "राजू": "raju", "सीता": "sita", "अर्जुन": "arjun", "गीता": "gita", "कबीर": "kabir",
    "चायवाला": "chaiwala", "लड्डूराम": "ladduram", "जलेबीकर": "jalebikar", "समोसादास": "samosadas", "हलवाई": "halwai",
}  # fmt: skip
PLAIN = str.maketrans(
    {"ł": "l", "Ł": "l", "ı": "i", "ß": "ss", "ø": "o", "-": "", "'": ""}
)  # letters that have no accent to take off
