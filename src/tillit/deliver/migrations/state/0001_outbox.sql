-- Destinations and templates that were applied. Grain: one per definition in the log. Derived.
CREATE TABLE delivery_definition (
  position {int64} PRIMARY KEY,
  kind     {text} NOT NULL,
  name     {text} NOT NULL,
  text     {text} NOT NULL,
  operator {text} NOT NULL,
  reason   {text} NOT NULL,
  event_at {int64} NOT NULL
);
CREATE INDEX delivery_definition_name ON delivery_definition (kind, name, position);
-- What the head of the log asks couriers to do, until they took it. Grain: one per log position, kind of work,
-- destination and identifier. Derived, but only for positions that were never taken.
CREATE TABLE outbox (
  position      {int64} NOT NULL,
  work          {int64} NOT NULL,
  destination   {text} NOT NULL,
  identifier_id {int64} NOT NULL,
  message_hash  {bytes} NOT NULL,
  PRIMARY KEY (position, work, destination, identifier_id)
) {clustered};
