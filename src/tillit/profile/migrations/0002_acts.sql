-- What a person may be searched by: words of their names (kind 0) and of corrected names (1), parts of identifiers (2), order numbers (3).
-- Grain: one per (term, strand, kind). Derived: the fold that fills it anew has another version.
DROP TABLE search_term;
CREATE TABLE search_term (
  term          {text} NOT NULL,
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  kind          {int64} NOT NULL,
  PRIMARY KEY (term, identifier_id, part, kind)
) {clustered};
CREATE INDEX search_term_strand ON search_term (identifier_id, part, term);
-- What colleagues said of a person: corrections, notes, and what takes one of them back. Grain: one per event of theirs.
CREATE TABLE operator_act (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  position      {int64} NOT NULL,
  event_at      {int64} NOT NULL,
  document      {bytes} NOT NULL,
  PRIMARY KEY (identifier_id, part, position)
) {clustered};
