-- What somebody truly chose of one purpose, each time they did. Grain: one per act; the latest holds, but a child's own word never does, and no word takes a browser's signal back.
CREATE TABLE true_choice (
  person_id {int64} NOT NULL,
  purpose   {text} NOT NULL,
  at        {int64} NOT NULL,
  is_given  {int64} NOT NULL,
  how       {text} NOT NULL,
  until_at  {int64}
);
CREATE INDEX true_choice_person ON true_choice (person_id);
