-- What the events anchored at one identifier (for a device: within one tenure) add up to. Grain: one per (identifier, tenure).
-- A profile is the merge of its strands, made when it is read; nothing is copied from one profile into another.
CREATE TABLE strand (
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  document      {bytes} NOT NULL,
  PRIMARY KEY (identifier_id, part)
) {clustered};
-- Words a colleague may search a person by. Grain: one per (word, strand).
CREATE TABLE search_term (
  term          {text} NOT NULL,
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  PRIMARY KEY (term, identifier_id, part)
) {clustered};
CREATE INDEX search_term_strand ON search_term (identifier_id, part);
