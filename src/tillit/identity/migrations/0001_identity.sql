-- A namespaced handle. Grain: one per (namespace, value). identifier_id = position of its first sight * 64 + its place there,
-- so that two folds of one log give the same ids. root_id = the strongest, then oldest identifier of its person.
CREATE TABLE identifier (
  identifier_id {int64} PRIMARY KEY,
  namespace     {text} NOT NULL,
  value         {text} NOT NULL,
  root_id       {int64} NOT NULL,
  known         {int64} NOT NULL,
  UNIQUE (namespace, value)
);
CREATE INDEX identifier_root ON identifier (root_id);
-- Evidence that two identifiers are one person, and what was decided. Grain: one per pair and trust: the first event that said so.
CREATE TABLE link (
  strong_id {int64} NOT NULL,
  weak_id   {int64} NOT NULL,
  trust     {int64} NOT NULL,
  position  {int64} NOT NULL,
  event_at  {int64} NOT NULL,
  source    {text} NOT NULL,
  rule      {text} NOT NULL,
  verdict   {text} NOT NULL,
  reason    {text} NOT NULL,
  PRIMARY KEY (strong_id, weak_id, trust)
) {clustered};
CREATE INDEX link_weak ON link (weak_id);
-- A device was this person's from then until the next row's from. The first tenure also covers what came before it.
-- Grain: one per device and change of hands, in event time.
CREATE TABLE tenure (
  identifier_id {int64} NOT NULL,
  from_at       {int64} NOT NULL,
  from_position {int64} NOT NULL,
  holder_id     {int64} NOT NULL,
  PRIMARY KEY (identifier_id, from_at, from_position)
) {clustered};
CREATE INDEX tenure_holder ON tenure (holder_id);
-- Where each applied event stands in its anchor's time. Grain: one per applied event.
CREATE TABLE event_index (
  anchor_id {int64} NOT NULL,
  event_at  {int64} NOT NULL,
  position  {int64} NOT NULL,
  PRIMARY KEY (anchor_id, event_at, position)
) {clustered};
