"""Samples: a part of everybody, drawn by their profile ids, as SQL.

In:    a sample.
Out:   whether somebody is drawn; what they drew.
Never: chance: whoever was drawn is drawn again.
"""

from math import ceil
from typing import TYPE_CHECKING

from tillit.language.dialects import COLLATED, Dialect, both, text, truth
from tillit.language.nodes import Sample

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

_DRAWN = 1 << 32


def drawn(say: Dialect, salt: str) -> "Expression":
    """Give what somebody drew: eight digits as text, which in their order are the numbers from 0 to 2^32."""
    return say.sql("SUBSTRING(MD5(:salt || p.profile_id), 1, 8)" + COLLATED[say.name], salt=text(f"{salt}:"))


def sample(say: Dialect, node: Sample) -> "Expression":
    """Say whether somebody is drawn."""
    digits = drawn(say, node.salt)
    low, high = (ceil(share * _DRAWN) for share in (node.from_share, node.until_share))
    parts = []
    if low > 0:
        parts.append(say.sql(":d >= :w", d=digits, w=text(f"{low:08x}")) if low < _DRAWN else truth(False))
    if high < _DRAWN:
        parts.append(say.sql(":d < :w", d=digits, w=text(f"{high:08x}")) if high > 0 else truth(False))
    return both(parts)
