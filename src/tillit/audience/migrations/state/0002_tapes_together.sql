DROP TABLE tape;
-- What is kept of a strand's events for definitions in force.
-- Grain: one row per strand for its short tapes together (tape_id 0), and one for each long one.
CREATE TABLE tape (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  tape_id       {int64} NOT NULL,
  document      {bytes} NOT NULL,
  PRIMARY KEY (identifier_id, part, tape_id)
) {clustered};

DROP TABLE tape_standing;
-- The tapes that definitions in force want; strands of identifiers after `through` are not on them yet.
-- tape_id 0: up to `through` strands are rid of what no definition wants any more.
CREATE TABLE tape_standing (
  tape_id {int64} PRIMARY KEY,
  through {int64} NOT NULL
);
