-- Of each audience that ranks everybody: the version and the instant by which its members were chosen.
CREATE TABLE ranking (
  audience  {text} PRIMARY KEY,
  version   {int64} NOT NULL,
  under     {text} NOT NULL,
  judged_at {int64} NOT NULL,
  epoch     {int64} NOT NULL,
  position  {int64} NOT NULL,
  n_ranked  {int64} NOT NULL
);
