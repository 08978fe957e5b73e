-- Audiences and features as they were applied. Grain: one row per definition in the log.
CREATE TABLE audience_definition (
  position {int64} PRIMARY KEY,
  kind     {text} NOT NULL,
  name     {text} NOT NULL,
  text     {text} NOT NULL,
  operator {text} NOT NULL,
  reason   {text} NOT NULL,
  event_at {int64} NOT NULL
);
CREATE INDEX audience_definition_name ON audience_definition (kind, name, position);

-- What is kept of a strand's events for definitions in force. Grain: one row per strand and tape.
CREATE TABLE tape (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  tape_id       {int64} NOT NULL,
  document      {bytes} NOT NULL,
  PRIMARY KEY (identifier_id, part, tape_id)
) {clustered};

-- The tapes that definitions in force want; strands of identifiers after `through` are not on them yet.
CREATE TABLE tape_standing (
  tape_id {int64} PRIMARY KEY,
  through {int64} NOT NULL
);

-- Identifiers of people who are to be judged again, and up to where the log was folded when that was noted.
CREATE TABLE audience_touched (
  identifier_id {int64} PRIMARY KEY,
  position      {int64} NOT NULL
);
