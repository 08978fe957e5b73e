"""Orders: the first of everybody, and everybody's place, as SQL.

In:    an order; the question for what each person is ranked by.
Out:   one SELECT.
Never: two orders of the same people: who stands equal is told apart by profile id.
"""

from tillit.language.dialects import COLLATED, DIVIDED, Dialect, negated
from tillit.language.nodes import Ranked
from tillit.language.sql.samples import sample


def first(say: Dialect, node: Ranked, scored: str) -> str:
    """Write the question for the first of an order. `scored`: columns person, profile_id and score."""
    kept = str(node.most) if node.most else f"(SELECT {_part(say, 'COUNT(*)', node.millionths)} FROM ranked)"
    sql = (
        f"WITH ranked AS ({scored}) SELECT p.person FROM (SELECT person, profile_id FROM ranked "
        f"ORDER BY {_order(say, node)} LIMIT {kept}) AS p"
    )
    if node.held is None:
        return sql
    return f"{sql} WHERE {negated(sample(say, node.held)).sql(dialect=say.name)}"


def places(say: Dialect, node: Ranked, scored: str) -> str:
    """Write the question for everybody's place. `scored`: columns person, profile_id and score."""
    kept = f"LEAST({node.most}, n)" if node.most else _part(say, "n", node.millionths)
    return (
        f"SELECT person, score, place, n, {kept} AS kept FROM (SELECT person, score, "
        f"ROW_NUMBER() OVER (ORDER BY {_order(say, node)}) AS place, COUNT(*) OVER () AS n "
        f"FROM ({scored}) AS ranked) AS placed"
    )


def _part(say: Dialect, n: str, millionths: int) -> str:
    # How many a part of them is: the last one is whole.
    return f"({n} * {millionths} + 999999) {DIVIDED[say.name]} 1000000"


def _order(say: Dialect, node: Ranked) -> str:
    return f"score{' DESC' if node.is_highest else ''}, profile_id{COLLATED[say.name]}"
