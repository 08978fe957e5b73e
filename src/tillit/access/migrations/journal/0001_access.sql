-- Who read what, for what. Grain: one per answered request. Journal: only added to. Profiles are named by id, never by value.
CREATE TABLE access (
  access_id  {int64} PRIMARY KEY,
  at         {int64} NOT NULL,
  asked_by   {text} NOT NULL,
  route      {text} NOT NULL,
  purpose    {text} NOT NULL,
  profile_id {text} NOT NULL,
  n_profiles {int64} NOT NULL
);
