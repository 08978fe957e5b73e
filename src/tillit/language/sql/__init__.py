"""SQL: a definition as one question about everybody, for DuckDB and PostgreSQL.

In:    a condition or a value, an instant; the audiences and features that it names.
Out:   one SELECT over the relations below, with the answer of the live evaluator for each person.
Never: an engine's own notion of time: every bound is a whole number of microseconds that was worked out here.

Relations, which whoever runs it provides; times are UTC epoch microseconds, JSON is text or the engine's own:
  people(person BIGINT, profile_id TEXT)           everybody, one row each
  events(person BIGINT, at BIGINT, position BIGINT, type TEXT, name TEXT, properties JSON)
  traits(person BIGINT, name TEXT, value JSON)     as the profile shows them, one row for each person and name
  permitted(person BIGINT, purpose TEXT)
  group_places(person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN)
                                                   who belongs to which group at the instant; near: see `groups`
  group_traits(group_key TEXT, name TEXT, value JSON)  as people said them whom the purpose may use

Shape of an answer. `seen` reads the events that any part of the definition looks at, once, with what each part asks of
them; `told` adds them up, one row for each person. What looks at the order of events (a sequence, a visit, different
values) has a relation of its own that reads `seen`. Everybody is joined to these.

Each module below writes one kind of part, and imports those before it: tests (`passing`), times (`spans`), events
(`seen`), where windows begin (`marks`), what is added up (`aggregates`), habits, sequences, traits, groups
(`belonging`), samples, orders; `question` puts them together.
"""

from tillit.language.sql.named import UnknownName
from tillit.language.sql.question import members_sql, places_sql, values_sql
from tillit.language.sql.seen import TYPES

__all__ = ["TYPES", "UnknownName", "members_sql", "places_sql", "values_sql"]
