-- Secrets of the ledger: what signs its checkpoints, and what subjects are hashed with. Grain: one per secret.
CREATE TABLE ledger_secret (
  name   {text} PRIMARY KEY,
  secret {bytes} NOT NULL
) {clustered};
-- What a person's entries are sealed with. Grain: one per profile id that was ever written about, until it is forgotten.
-- The profile id is kept as a keyed hash; the token is what the entries carry in its place.
CREATE TABLE subject_key (
  subject_hash  {bytes} PRIMARY KEY,
  subject_token {bytes} NOT NULL UNIQUE,
  key           {bytes} NOT NULL
) {clustered};
-- Whose keys were destroyed, as a keyed hash: what was noted until then stays unreadable. Grain: one per forgotten profile id.
CREATE TABLE shredded_subject (
  subject_hash {bytes} PRIMARY KEY,
  shredded_at  {int64} NOT NULL
) {clustered};
CREATE INDEX shredded_subject_at ON shredded_subject (shredded_at);
