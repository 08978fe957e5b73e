"""Times in records: is a date, an instant or a length of time readable for everybody?

In:    text.
Out:   yes or no.
Never: a time without a zone; a length that ends before it begins.

Source: ISO 8601 as XML Schema 1.1 writes it: dateTime with a zone, date, duration.
"""

import re
from datetime import date, datetime

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,12})?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)
_DURATION = re.compile(
    r"P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?"
)


def is_date(text: str) -> bool:
    """Say whether text is a day, such as 2026-01-31.

    >>> is_date("2026-02-28"), is_date("2026-02-29"), is_date("28.2.2026")
    (True, False, False)
    """
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_instant(text: str) -> bool:
    """Say whether text is an instant with its zone.

    >>> is_instant("2026-01-31T10:00:00Z"), is_instant("2026-01-31T10:00:00"), is_instant("2026-01-31T25:00:00Z")
    (True, False, False)
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return False
    try:
        datetime.fromisoformat(found[1])
    except ValueError:
        return False
    return True


def is_duration(text: str) -> bool:
    """Say whether text is a length of time, such as P24M.

    >>> is_duration("P24M"), is_duration("P0D"), is_duration("P1DT12H"), is_duration("P"), is_duration("2 years")
    (True, True, True, False, False)
    """
    return _DURATION.fullmatch(text) is not None
