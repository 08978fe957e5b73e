-- Sources and the keys that speak for them. Grain: one per key. The key itself is never stored, only its sha256.
CREATE TABLE access_key (
  key_id     {text} PRIMARY KEY,
  key_hash   {bytes} NOT NULL UNIQUE,
  kind       {text} NOT NULL,
  source     {text} NOT NULL,
  scopes     {text} NOT NULL,
  purpose    {text} NOT NULL,
  origins    {text} NOT NULL,
  created_at {int64} NOT NULL,
  revoked_at {int64}
);
