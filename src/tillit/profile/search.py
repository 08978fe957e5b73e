"""Search: by which words a person is found, and who is found by a colleague's text.

In:    names, identifiers and order numbers as events said them; a text somebody typed.
Out:   terms for rows of search_term; ids of the identifiers whose strands hold them.
Never: a person shown for a word that is not theirs: whoever is found is judged again by their document.

Every term is found by its beginning, so a term stands for each place a word may begin: an e-mail address after each of
`. _ - + @`, a telephone number without its country code, and in scripts without spaces every letter.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tillit.store import Reading

# Kinds of terms, as search_term holds them.
OF_NAME, OF_CORRECTION, OF_IDENTIFIER, OF_ORDER = range(4)

NAME_TRAITS = frozenset(
    {"name", "firstName", "lastName", "first_name", "last_name", "username", "company_name", "company", "displayName"}
)
_LONGEST_TERM = 64
_MOST_WORDS = 8  # of one name
_MOST_BEGINNINGS = 24  # of one word without spaces: a Thai name with its title
_MOST_ASKED = 6  # words of one question
_MOST_ROWS = 400  # rows read for one way to read a word
_MOST_TOGETHER = 120  # strands that hold every word: twice as many people as are judged
_MOST_WALKED = 10_000  # rows walked for words that all are frequent and seldom stand together
_END = "\U0010ffff"  # after every letter

# Letters that no decomposition takes apart, and that people type without their stroke.
_PLAIN = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "\u0131": "i",
        "ŋ": "n",
        "'": "",
        "\0": " ",
    }
    | dict.fromkeys("\u2019\u02bc\u05f3\uff07\u0640", "")  # apostrophes and the Arabic tatweel
)
_VOICED = "\u3099\u309a"  # kana with these are other letters, not the same one with an accent
# Scripts that write words without spaces between them, as ranges of code points.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul: a family name stands right before the given one
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_PHONE_MARKS = frozenset("+()./- \u00a0\u2010\u2011\u2012\u2013\u2014\u2015")
_EMAIL_MARKS = frozenset("._-+@")
_FEWEST_DIGITS = 4
_TWO_DIGIT_COUNTRIES = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    "90 91 92 93 94 95 98".split()
)


def fold_text(text: str) -> str:
    """Fold a text for search: compatibility forms, case, accents and invisible marks are set aside.

    >>> fold_text("Zoë Ångström"), fold_text("ŁUKASZ"), fold_text("O'Hara")
    ('zoe angstrom', 'lukasz', 'ohara')
    """
    if text.isascii():
        return text.lower().translate(_PLAIN)
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    kept = (
        c for c in apart if c in _VOICED or not (unicodedata.combining(c) or unicodedata.category(c) in {"Cf", "Cs"})
    )
    return unicodedata.normalize("NFC", "".join(kept)).translate(_PLAIN)


def words_of(text: str) -> list[str]:
    """Give the words of a text, folded.

    >>> words_of("Anna-Lena  O'Hara (Åbo)")
    ['anna', 'lena', 'ohara', 'abo']
    """
    folded = fold_text(text)
    if folded.isascii():
        return "".join(c if c.isalnum() else " " for c in folded).split()
    # Letters, marks, numbers and symbols (emoji) make words; punctuation, spaces and controls part them.
    return "".join(
        c if (c.isalnum() if c.isascii() else unicodedata.category(c)[0] in "LMNS") else " " for c in folded
    ).split()


def beginnings(word: str) -> list[str]:
    """Give a word from each place where somebody may begin to type it: its start, or any letter when unspaced.

    >>> beginnings("ana"), beginnings("山田太郎")
    (['ana'], ['山田太郎', '田太郎', '太郎', '郎'])
    """
    if word.isascii() or not any(_is_unspaced(c) for c in word):
        return [word[:_LONGEST_TERM]]
    return [word[i : i + _LONGEST_TERM] for i in range(min(len(word), _MOST_BEGINNINGS))]


def _is_unspaced(letter: str) -> bool:
    code = ord(letter)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _UNSPACED)


def name_terms(values: Iterable[object]) -> set[str]:
    """Give the terms of a person's names."""
    terms: set[str] = set()
    for value in values:
        if isinstance(value, str):
            for word in words_of(value[:512])[:_MOST_WORDS]:
                terms.update(beginnings(word))
    return terms


def identifier_terms(namespace: str, value: str) -> list[str]:
    """Give the places inside one identifier where somebody may begin to type it.

    Its own beginning is no term: the identifiers themselves are searched for that.

    >>> identifier_terms("email", "ana.berg@example.org"), identifier_terms("user_id", "u-1")
    (['berg@example.org', 'example.org'], [])
    >>> identifier_terms("phone", "+49 170 123"), identifier_terms("phone", "0170 123")
    (['170123'], ['170123'])
    """
    if namespace == "phone":
        return [term for term in (national_digits(value),) if term]
    if namespace != "email":
        # An id in one case is found as it is written and as people type it; one in both is not.
        return [] if value in {value.lower(), value.upper()} else [fold_text(value)[:_LONGEST_TERM]]
    whole = fold_text(value)
    # Not after the last dot: `org` is nobody's.
    last = whole.rfind(".")
    starts = (i + 1 for i, c in enumerate(whole[:256]) if c in _EMAIL_MARKS and i < last)
    found = dict.fromkeys(whole[i : i + _LONGEST_TERM] for i in islice(starts, _MOST_WORDS))
    return [term for term in found if term and term[0] not in _EMAIL_MARKS]


def national_digits(value: str) -> str:
    """Give the digits of a telephone number without country code and without the zero that some countries dial.

    Source: ITU-T E.164, country codes as assigned in 2024.
    """
    digits = "".join(c for c in value if c.isdigit())
    if value.startswith("00"):
        digits = digits[2:]
    elif not value.startswith("+"):
        return digits.lstrip("0")
    if digits[:1] in {"1", "7"}:
        return digits[1:]
    return digits[2 if digits[:2] in _TWO_DIGIT_COUNTRIES else 3 :].lstrip("0")


def order_term(value: object) -> str | None:
    """Give the term of an order number, or None when it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:_LONGEST_TERM]
    if not isinstance(value, str):
        return None
    return fold_text(value).strip().lstrip("#").strip()[:_LONGEST_TERM] or None


class Asked(NamedTuple):
    """One word of a question: what a term may begin with to answer it, and what the words of a name must."""

    ways: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def probes(self) -> tuple[str, ...]:
        """Give by what to look for it: of the parts of a name the longest, which is nearly always the rarest."""
        return tuple(dict.fromkeys((*self.ways, max(self.parts, key=len)))) if self.parts else self.ways


def read_question(text: str) -> list[Asked]:
    """Read what somebody typed: each word must be answered.

    >>> [one.ways for one in read_question("Zoë #A-17")]
    [('zoe',), ('a-17',)]
    >>> [one.ways for one in read_question("+49 (170) 123-4567")]
    [('+491701234567', '491701234567', '1701234567')]
    """
    pieces: list[str] = []
    for piece in text.replace("\0", " ").split():
        # A number written with spaces is one number.
        if pieces and _is_phone_like(piece) and _is_phone_like(pieces[-1]):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    asked = [_read_word(piece) for piece in pieces[:_MOST_ASKED]]
    return [one for one in asked if one.probes]


def _is_phone_like(piece: str) -> bool:
    return all(c in _PHONE_MARKS or c.isdigit() for c in piece) and any(c.isdigit() for c in piece)


def _read_word(piece: str) -> Asked:
    whole = fold_text(piece).strip().lstrip("#@").strip()[:_LONGEST_TERM]
    if _is_phone_like(piece) and piece.isascii():
        ways = [] if "(" in piece or "+" in piece else [whole]
        digits = "".join(c for c in piece if c.isdigit())
        if len(digits) >= _FEWEST_DIGITS:
            # With a country code or without, as it may be kept; and the beginning of one that is kept with it.
            ways += ["+" + digits.removeprefix("00"), digits, national_digits(piece)]
        return Asked(tuple(dict.fromkeys(filter(None, ways))), ())
    parts = tuple(part[:_LONGEST_TERM] for part in words_of(piece)[:_MOST_WORDS])
    ways = [whole] if whole else []
    return Asked(tuple(dict.fromkeys((*ways, *parts) if len(parts) == 1 else ways)), parts)


class Shown(NamedTuple):
    """What a person can be found by, as their document shows it."""

    words: frozenset[str]  # of names, from each place where a word may begin
    wholes: frozenset[str]  # whole identifiers and order numbers
    terms: tuple[str, ...]  # parts of identifiers and order numbers


def answer(asked: Asked, shown: Shown) -> int:
    """Say how well a person answers one word.

    Shape: 3 by a whole identifier or order number, 2 by a whole word of a name or a whole part of an identifier,
           1 by a beginning, 0 not at all.
    """
    if any(way in shown.wholes for way in asked.ways):
        return 3
    if asked.parts and all(part in shown.words for part in asked.parts):
        return 2
    if any(way in shown.terms for way in asked.ways):
        return 2
    if any(term.startswith(way) for term in shown.terms for way in asked.ways):
        return 1
    return int(bool(asked.parts) and all(any(w.startswith(part) for w in shown.words) for part in asked.parts))


def shown_by(document: dict[str, Any], orders: Sequence[str]) -> Shown:
    """Give what a person's document says they can be found by."""
    wholes: set[str] = set(orders)
    terms: list[str] = list(orders)
    for one in document["identifiers"]:
        found = [fold_text(one["value"]), *identifier_terms(one["namespace"], one["value"])]
        wholes.update(found if one["namespace"] == "phone" else found[:1])
        terms += found
    names = (held["value"] for name, held in document["traits"].items() if name in NAME_TRAITS)
    return Shown(frozenset(name_terms(names)), frozenset(wholes), tuple(terms))


def search_strands(reading: Reading, text: str, *, limit: int) -> list[int]:
    """Give ids of identifiers whose strands hold every word of a text, each as a beginning.

    Whole words come first, among them the newest identifiers; a strand is counted once.
    """
    asked = read_question(text)
    if not asked:
        return []
    if len(asked) > 1:
        asked.sort(key=lambda one: _frequency(reading, one))
    found = _strands_of(reading, asked[0], asked[1:], most=_MOST_ROWS)
    return list(dict.fromkeys(found))[:limit]


def _frequency(reading: Reading, asked: Asked) -> tuple[int, int]:
    """Say how many terms answer a word, as far as it is worth counting; of frequent ones the shortest has most."""
    n_terms = 0
    for way in asked.probes:
        rows = reading.read(
            "SELECT count(*) FROM (SELECT 1 FROM search_term WHERE term >= ? AND term < ? LIMIT ?) t",
            (way, way + _END, _MOST_WALKED),
        )
        n_terms += rows[0][0]
    return n_terms, -max(map(len, asked.probes))


def _strands_of(reading: Reading, first: Asked, others: Sequence[Asked], *, most: int) -> list[int]:
    """Give ids by one word; with others beside it, those first that hold them all in one strand."""
    together: list[int] = []
    if others:
        for way in first.probes:
            together += _holding_all(reading, way, others)
        if len(together) >= _MOST_TOGETHER:
            return together
    alone: list[int] = []
    for way in first.probes:
        alone += _exactly(reading, way, most)
        alone += _beginning(reading, way, most)
    return together + alone


def _exactly(reading: Reading, term: str, most: int) -> list[int]:
    rows = reading.read(
        "SELECT identifier_id FROM search_term WHERE term = ? ORDER BY identifier_id DESC LIMIT ?", (term, most)
    )
    return [i for (i,) in rows]


def _beginning(reading: Reading, term: str, most: int) -> list[int]:
    rows = reading.read(
        "SELECT identifier_id FROM search_term WHERE term > ? AND term < ? "
        "ORDER BY term, identifier_id, part, kind LIMIT ?",
        (term, term + _END, most),
    )
    return [i for (i,) in rows]


def _holding_all(reading: Reading, way: str, others: Sequence[Asked]) -> list[int]:
    """Give ids of strands with a term like this one and one for each other word, whole terms and newest first.

    Enough of them end the walk, so that two frequent words cost little when they often stand together.
    """
    wanted = []
    asked: list[Any] = []
    for one in others:
        ranges = " OR ".join("(o.term >= ? AND o.term < ?)" for _ in one.probes)
        wanted.append(
            "EXISTS (SELECT 1 FROM search_term o WHERE o.identifier_id = t.identifier_id AND o.part = t.part "
            f"AND ({ranges}))"
        )
        for other in one.probes:
            asked += [other, other + _END]
    together = " AND ".join(wanted)
    # The place where the walk ends, then the walk: a LIMIT within would leave the order to the engine.
    whole = reading.read(
        "SELECT identifier_id FROM search_term WHERE term = ? ORDER BY identifier_id DESC LIMIT 1 OFFSET ?",
        (way, _MOST_WALKED),
    )
    rows = reading.read(
        f"SELECT t.identifier_id FROM search_term t WHERE t.term = ? AND t.identifier_id > ? AND {together} "
        "ORDER BY t.identifier_id DESC LIMIT ?",
        [way, whole[0][0] if whole else -1, *asked, _MOST_TOGETHER],
    )
    begun = reading.read(
        "SELECT term, identifier_id FROM search_term WHERE term > ? AND term < ? "
        "ORDER BY term, identifier_id LIMIT 1 OFFSET ?",
        (way, way + _END, _MOST_WALKED),
    )
    rows += reading.read(
        "SELECT t.identifier_id FROM search_term t WHERE t.term > ? AND t.term <= ? "
        f"AND (t.term, t.identifier_id) <= (?, ?) AND {together} "
        "ORDER BY t.term, t.identifier_id, t.part, t.kind LIMIT ?",
        [way, *[begun[0][0] if begun else way + _END] * 2, begun[0][1] if begun else 0, *asked, _MOST_TOGETHER],
    )
    return [i for (i,) in rows]


def order_terms(reading: Reading, keys: Sequence[tuple[int, int]], asked: Sequence[Asked]) -> list[str]:
    """Give the order numbers in these strands that begin with what was asked for: there may be thousands of others."""
    found: list[str] = []
    for identifier_id, part in keys:
        for one in asked:
            for way in one.ways:
                rows = reading.read(
                    "SELECT term FROM search_term WHERE term >= ? AND term < ? AND identifier_id = ? AND part = ? "
                    "AND kind = ? LIMIT 20",
                    (way, way + _END, identifier_id, part, OF_ORDER),
                )
                found += [term for (term,) in rows]
    return found
