-- Whom a purpose may use otherwise than somebody of whom nothing is known: what a question about many is joined to.
-- Grain: one per lane (a purpose, a channel and a jurisdiction, numbered under the purposes in force), person and
-- stretch of time. Units: UTC epoch microseconds.
CREATE TABLE permission (
  lane     {int64} NOT NULL,
  from_at  {int64} NOT NULL,
  until_at {int64} NOT NULL,
  root_id  {int64} NOT NULL,
  PRIMARY KEY (lane, from_at, until_at, root_id)
) {clustered};
CREATE INDEX permission_root ON permission (root_id);
-- Identifiers at which something was said that permissions hang on. Grain: one per identifier.
-- terms: under which purposes whoever holds it was judged; 0: they are to be judged again.
CREATE TABLE permission_ground (
  identifier_id {int64} PRIMARY KEY,
  terms         {int64} NOT NULL
);
CREATE INDEX permission_ground_terms ON permission_ground (terms);
