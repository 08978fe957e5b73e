-- A namespaced handle. Grain: one per (namespace, value). identifier_id = position of its first sight * 64 + the field that named it there,
-- so that two folds of one log give the same ids, also under other rules. root_id = the strongest, then oldest identifier of its person.
DROP TABLE identifier;
CREATE TABLE identifier (
  identifier_id {int64} PRIMARY KEY,
  namespace     {text} NOT NULL,
  value         {text} NOT NULL,
  rank          {int64} NOT NULL,
  root_id       {int64} NOT NULL,
  known         {int64} NOT NULL,
  since         {int64} NOT NULL,
  birth         {int64} NOT NULL,
  UNIQUE (namespace, value)
);
CREATE INDEX identifier_root ON identifier (root_id);
-- Evidence that two identifiers are one person, and what was decided.
-- Grain: one per pair, trust and chapter: the first event that said so since the pair was last cut or joined (0: never was).
DROP TABLE link;
CREATE TABLE link (
  strong_id {int64} NOT NULL,
  weak_id   {int64} NOT NULL,
  trust     {int64} NOT NULL,
  chapter   {int64} NOT NULL,
  position  {int64} NOT NULL,
  event_at  {int64} NOT NULL,
  source    {text} NOT NULL,
  rule      {text} NOT NULL,
  verdict   {text} NOT NULL,
  violation {text} NOT NULL,
  reason    {text} NOT NULL,
  PRIMARY KEY (strong_id, weak_id, trust, chapter)
) {clustered};
CREATE INDEX link_weak ON link (weak_id);
-- Identity rules as colleagues applied them. Grain: one per definition in the log.
CREATE TABLE identity_rules (
  position {int64} PRIMARY KEY,
  text     {text} NOT NULL,
  operator {text} NOT NULL,
  reason   {text} NOT NULL,
  event_at {int64} NOT NULL
);
