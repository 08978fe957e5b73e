-- What tombstones are hashed with (pepper) and certificates are signed with (signing). Grain: one per name.
CREATE TABLE erasure_secret (
  name   {text} PRIMARY KEY,
  secret {bytes} NOT NULL
);
