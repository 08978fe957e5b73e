-- What a destination is entered or signed with, and the one place it may go to. Grain: one per name.
CREATE TABLE delivery_secret (
  name       {text} PRIMARY KEY,
  host       {text} NOT NULL,
  secret     {text} NOT NULL,
  created_at {int64} NOT NULL,
  by_whom    {text} NOT NULL
);
