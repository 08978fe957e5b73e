"""Belonging: to which households and accounts somebody belongs, and who else does, as SQL.

In:    a condition about a group; how a condition about one member is written.
Out:   whether it holds of somebody; relations of whom of the members it counts.
Never: what members of members do.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, among, both, column, text
from tillit.language.inlining import NESTED
from tillit.language.nodes import Condition, InGroup, Permitted, Test
from tillit.language.sql.named import UnknownName
from tillit.language.sql.passing import Told, passes

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression


class Belonging:
    """What is asked of groups while a question is put together."""

    def __init__(self, at: int, say: Dialect, condition: "Callable[[Condition], Expression]") -> None:
        """Ask nothing yet. `condition` writes what is asked of a member."""
        self.at = at
        self.say = say
        self._condition = condition
        self._groups: list[tuple[str, Expression]] = []  # relations about members: what holds of each, for whom
        self._is_of_member = False

    def holds(self, node: InGroup) -> "Expression":
        """Say whether somebody belongs to such a group."""
        if self._is_of_member:
            raise UnknownName("audience", "", NESTED)
        say, parts, beside = self.say, [], ""
        if node.kind:
            parts.append(say.sql("g.kind = :kind", kind=text(node.kind)))
        if node.roles:
            parts.append(say.sql("COALESCE(:named, FALSE)", named=among(column("role", "g"), [*map(text, node.roles)])))
        if node.trait:
            beside += " LEFT JOIN group_traits AS x ON x.group_key = g.group_key AND x.name = :name"
            value = say.get(say.document(column("value", "x")), node.trait[1:])
            parts += [passes(say, test, Told(is_number=False, sql=value), self.at) for test in node.tests]
        if node.sizes or node.member is not None:
            parts.append(say.sql("g.is_near"))
        for name, tests, has_own in self._member_counts(node):
            beside += f" LEFT JOIN n_{name} ON n_{name}.group_key = g.group_key"
            n = say.sql(f"COALESCE(n_{name}.n, 0)")
            if not has_own:
                beside += f" LEFT JOIN {name} AS o_{name} ON o_{name}.person = g.person"
                n = say.sql(f":n - CASE WHEN o_{name}.person IS NULL THEN 0 ELSE 1 END", n=n)
            n = say.sql("CAST(:n AS DOUBLE PRECISION)", n=n)
            parts += [passes(say, test, Told(is_number=True, sql=n), self.at) for test in tests]
        return say.sql(
            f"p.person IN (SELECT g.person FROM group_places AS g{beside} WHERE :fits)",
            fits=both(parts),
            **({"name": text(node.trait[0])} if node.trait else {}),
        )

    def _member_counts(self, node: InGroup) -> "list[tuple[str, tuple[Test, ...], bool]]":
        """Ask for relations of the people who count, and how many of them each group has; give their names."""
        found = []
        may = [self._condition(Permitted(node.purpose))] if node.purpose else []
        if node.sizes:
            found.append((self._who_counts(both(may)), node.sizes, True))
        if node.member is not None:
            self._is_of_member = True
            holds = self._condition(node.member)
            self._is_of_member = False
            found.append((self._who_counts(both([holds, *may])), node.counts, not node.others_only))
        return found

    def _who_counts(self, holds: "Expression") -> str:
        name = f"g{len(self._groups)}"
        self._groups.append((name, holds))
        return name

    def relations(self, beside: str) -> "list[tuple[str, Expression]]":
        """Write who counts, and how many of them each group has. `beside`: what everybody is joined to."""
        relations = []
        for name, holds in self._groups:
            relations.append(
                (name, self.say.sql(f"SELECT p.person FROM people AS p{beside} WHERE :holds", holds=holds))
            )
            counted = (
                f"SELECT g.group_key, COUNT(*) AS n FROM group_places AS g JOIN {name} AS o ON o.person = g.person"
            )
            relations.append((f"n_{name}", self.say.sql(f"{counted} WHERE g.is_near GROUP BY g.group_key")))
        return relations
