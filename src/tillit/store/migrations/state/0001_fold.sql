-- How far the fold has come. Grain: one row. Written in the same transaction as everything the fold derives.
CREATE TABLE fold (
  one       {int64} PRIMARY KEY,
  position  {int64} NOT NULL,
  logged_at {int64} NOT NULL,
  epoch     {int64} NOT NULL,
  version   {int64} NOT NULL
);
-- The fate of a log row that was not simply applied. Grain: one per position; no row at or below fold.position = applied.
CREATE TABLE fate (
  position    {int64} PRIMARY KEY,
  fate        {text} NOT NULL,
  code        {text} NOT NULL,
  of_position {int64}
);
