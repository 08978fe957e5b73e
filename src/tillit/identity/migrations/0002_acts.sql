-- Evidence that two identifiers are one person, and what was decided. Derived: the fold that fills it anew has another version.
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
  reason    {text} NOT NULL,
  PRIMARY KEY (strong_id, weak_id, trust, chapter)
) {clustered};
CREATE INDEX link_weak ON link (weak_id);
-- What colleagues decided about who is who: cuts, pins, joins, and what undoes one of them. Grain: one per event of theirs.
CREATE TABLE identity_act (
  position   {int64} PRIMARY KEY,
  kind       {text} NOT NULL,
  one_id     {int64} NOT NULL,
  other_id   {int64} NOT NULL,
  of_message {text} NOT NULL,
  message_id {text} NOT NULL,
  operator   {text} NOT NULL,
  reason     {text} NOT NULL,
  event_at   {int64} NOT NULL
);
CREATE INDEX identity_act_one ON identity_act (one_id);
CREATE INDEX identity_act_other ON identity_act (other_id);
CREATE INDEX identity_act_message ON identity_act (message_id);
