"""Naming: names of definitions that nobody typed.

In:    titles; what is taken.
Out:   names as files have them.
Never: the name of another.
"""

import re
import unicodedata
from collections.abc import Callable


def slug_of(title: str) -> str:
    """Make a name of a title.

    >>> slug_of("Lapsing regulars, 90 days"), slug_of("Köpte två gånger"), slug_of("2026")
    ('lapsing-regulars-90-days', 'kopte-tva-ganger', '')
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-").lstrip("0123456789-")[:63].strip("-")


def free_name(slug: str, is_taken: Callable[[str], bool]) -> str:
    """Give a name made of another that no other definition has; none where there is none to begin with.

    >>> free_name("vip", {"vip", "vip-2"}.__contains__), free_name("", str.isdigit)
    ('vip-3', '')
    """
    names = (slug, *(f"{slug[:58]}-{n}" for n in range(2, 1_000)))
    return next((one for one in names if not slug or not is_taken(one)), slug)
