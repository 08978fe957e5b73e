-- Somebody was erased. Grain: one per erasure. Journal, in a file of its own: it is never restored to an older moment.
-- state: begun, or done once everything was looked at. through = where the log ended when it began; position = its act.
-- rules = the definition under which their identifiers were spelled.
CREATE TABLE erasure (
  erasure_id {text} PRIMARY KEY,
  begun_at   {int64} NOT NULL,
  erased_at  {int64} NOT NULL,
  state      {text} NOT NULL,
  epoch      {int64} NOT NULL,
  through    {int64} NOT NULL,
  position   {int64} NOT NULL,
  n_events   {int64} NOT NULL,
  rules      {text} NOT NULL
);
-- An identifier that nobody holds any more: what was sent or dated before is refused. Only a keyed hash of it is kept.
-- state: waiting until it is known that nobody else holds it, then standing. open_at = when a new act said it again.
-- Grain: one per identifier.
CREATE TABLE tombstone (
  identifier_hash {bytes} PRIMARY KEY,
  erasure_id      {text} NOT NULL,
  erased_at       {int64} NOT NULL,
  open_at         {int64},
  is_device       {int64} NOT NULL,
  state           {text} NOT NULL
);
-- A message that was erased and that no tombstone would stop if it came again; a keyed hash. Grain: one per message.
CREATE TABLE erased_message (
  message_hash {bytes} PRIMARY KEY,
  erasure_id   {text} NOT NULL
);
-- Whether the secret in registry.db is still the one with which tombstones were hashed. Grain: one row.
CREATE TABLE tombstone_check (
  one   {int64} PRIMARY KEY,
  check_hash {bytes} NOT NULL
);
