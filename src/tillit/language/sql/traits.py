"""Traits: what the profile says of somebody, as SQL.

In:    tests of traits, and traits as values.
Out:   the relation `known`, one row for each person, a column for each that is asked.
Never: a trait that nobody asks for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, among, column, negated, text
from tillit.language.nodes import OPPOSITE, Path, Test
from tillit.language.sql.passing import Told, json_passes, sure

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression


class Traits:
    """What is asked of traits while a question is put together."""

    def __init__(self, at: int, say: Dialect) -> None:
        """Ask nothing yet."""
        self.at = at
        self.say = say
        self._columns: dict[tuple[object, ...], tuple[str, Callable[[], Expression]]] = {}
        self._paths: dict[Path, str] = {}

    def value(self, path: Path) -> Told:
        """Give a trait of a row of everybody."""
        told = self._known("value", path, lambda v: self.say.sql("MAX(:v)", v=self.say.as_text(v)))
        return Told(is_number=False, sql=self.say.document(told))

    def passes(self, test: Test, path: Path) -> "Expression":
        """Say whether a trait passes a test."""
        turned = OPPOSITE.get(test.op)
        op = turned or test.op

        def write(value: "Expression") -> "Expression":
            return self.say.sql("BOOL_OR(:passes)", passes=json_passes(self.say, op, test.value, value, self.at, 0))

        found = sure(self.say, self._known((op, repr(test.value)), path, write))
        return negated(found) if turned else found

    def _known(self, key: object, path: Path, write: "Callable[[Expression], Expression]") -> "Expression":
        """Ask for an aggregate over the one row of a trait."""
        name = self._paths.setdefault(path, f"v{len(self._paths)}")
        value = self.say.sql("CASE WHEN k.name = :name THEN :v END", name=text(path[0]), v=column(name, "k"))
        told, _ = self._columns.setdefault((key, path), (f"c{len(self._columns)}", lambda: write(value)))
        return column(told, "k")

    def joins(self) -> list[tuple[str, str]]:
        """Name the relation that everybody is joined to, and what it is called there."""
        return [("known", "k")] * bool(self._columns)

    def relations(self) -> "list[tuple[str, Expression]]":
        """Write the relation, if anything is asked."""
        columns = {name: making() for name, making in self._columns.values()}
        return [("known", self._known_query(columns))] if columns else []

    def _known_query(self, columns: "Mapping[str, Expression]") -> "Expression":
        listed = ", ".join(f":{name} AS {name}" for name in columns)
        names = sorted({path[0] for path in self._paths})
        values = {
            name: self.say.get(self.say.document(column("value", "r")), path[1:]) for path, name in self._paths.items()
        }
        rows = self.say.sql(
            f"SELECT r.person, r.name, {', '.join(f':{name} AS {name}' for name in values)} FROM traits AS r "
            "WHERE :named",
            named=among(column("name", "r"), [text(name) for name in names]),
            **values,
        )
        return self.say.sql(f"SELECT k.person, {listed} FROM _rows AS k GROUP BY k.person", rows=rows, **columns)
