"""Past: a definition asked of everybody as of an instant, or of several in one question.

In:    a history; a condition; instants.
Out:   of whom it held then, or of how many: by what had happened by then, of who is who today.
Never: somebody of whom nothing was heard of before that instant. Traits are as they are known today: what they were is
       not asked of everybody.
"""

from collections.abc import Sequence

from tillit.audience import Lens
from tillit.flow.history import History, needs_of
from tillit.language.nodes import Condition, Ranked
from tillit.language.sql import members_sql


def members_then(history: History, node: Condition, at: int, *, lens: Lens, now: int) -> list[int]:
    """Give whom a condition held of at an instant, by the root of their identifiers, in order.

    Units:  UTC epoch microseconds; `now`: the instant for which permissions that the condition names hold.
    Raises: as `History.members`.
    """
    needs = needs_of(node, {}, {})._replace(lens=lens, at=now, then=at)
    sql = _of_those(node, at, f'SELECT person FROM heard WHERE "at" <= {at}')
    rows = history.ask(f"SELECT person FROM ({sql}) AS l ORDER BY 1", needs)
    return [person for (person,) in rows]


def counts_then(history: History, node: Condition, instants: Sequence[int], *, lens: Lens, now: int) -> list[int]:
    """Count of how many a condition held at each of some instants: one question. Units and errors as `members_then`."""
    if not instants:
        return []
    needs = needs_of(node, {}, {})._replace(lens=lens, at=now)
    if needs.groups:
        # Who belonged where is another question at each instant.
        return [len(members_then(history, node, at, lens=lens, now=now)) for at in instants]
    asked = (_of_those(node, at, f'SELECT person FROM met WHERE "at" <= {at}') for at in instants)
    parts = [f"SELECT {place} AS place, count(*) AS n FROM ({one}) AS l" for place, one in enumerate(asked)]
    met = 'WITH met AS MATERIALIZED (SELECT person, min("at") AS "at" FROM heard GROUP BY person) '
    rows = history.ask(met + " UNION ALL ".join(parts), needs)
    return [n for _, n in sorted(rows)]


def _of_those(node: Condition, at: int, met: str) -> str:
    """Write the question of whom a condition held, of some people."""
    sql = members_sql(node, at, audiences={}, features={})
    if not isinstance(node, Ranked):
        return f"SELECT person FROM ({sql}) AS held WHERE person IN ({met})"
    # Whoever was not heard of takes nobody's place.
    return f"WITH people AS (SELECT * FROM temp.people WHERE person IN ({met})) SELECT person FROM ({sql}) AS held"


def count_met(history: History, at: int) -> int:
    """Count people of whom anything was heard of up to an instant. Raises as `History.ask`."""
    return int(history.ask('SELECT count(DISTINCT person) FROM heard WHERE "at" <= ?', params=(at,))[0][0])
