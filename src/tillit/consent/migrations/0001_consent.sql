-- Purposes as colleagues applied them, with the controller, recipients and notices they name: the whole text each time. Grain: one per definition in the log.
CREATE TABLE consent_policy (
  position {int64} PRIMARY KEY,
  text     {text} NOT NULL,
  operator {text} NOT NULL,
  reason   {text} NOT NULL,
  event_at {int64} NOT NULL
);
-- What one event said of what somebody's data may be used for: given, refused, withdrawn, for which purposes, how and shown what.
-- Grain: one per event that says so (its strand and its position).
CREATE TABLE consent_statement (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  position      {int64} NOT NULL,
  document      {bytes} NOT NULL,
  PRIMARY KEY (identifier_id, part, position)
) {clustered};
-- What events carry of consent beside what they tell: a category of a consent manager, a browser's signal. Of each answer the latest of both clocks.
-- Grain: one per strand, name and answer.
CREATE TABLE consent_signal (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  name          {text} NOT NULL,
  said          {int64} NOT NULL,
  event_at      {int64} NOT NULL,
  received_at   {int64} NOT NULL,
  position      {int64} NOT NULL,
  trust         {int64} NOT NULL,
  PRIMARY KEY (identifier_id, part, name, said)
) {clustered};
CREATE INDEX consent_signal_name ON consent_signal (name);
