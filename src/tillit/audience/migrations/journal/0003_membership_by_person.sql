ALTER TABLE membership RENAME TO membership_by_audience;
DROP INDEX membership_root;
-- Who is in which audience; what one person is in lies side by side.
-- Grain: one row per audience and person, the person by the root of their identifiers.
CREATE TABLE membership (
  audience {text} NOT NULL,
  root_id  {int64} NOT NULL,
  since_at {int64} NOT NULL,
  cause    {text} NOT NULL,
  position {int64} NOT NULL,
  PRIMARY KEY (root_id, audience)
) {clustered};
INSERT INTO membership (audience, root_id, since_at, cause, position)
  SELECT audience, root_id, since_at, cause, position FROM membership_by_audience ORDER BY root_id, audience;
DROP TABLE membership_by_audience;
CREATE UNIQUE INDEX membership_audience ON membership (audience, root_id);
