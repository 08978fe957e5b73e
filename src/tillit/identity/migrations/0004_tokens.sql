-- Where identity tokens were used, the first time and again. Grain: one per applied event with a token that the door found good.
CREATE TABLE token_use (
  position   {int64} PRIMARY KEY,
  token_hash {bytes} NOT NULL
);
CREATE INDEX token_use_hash ON token_use (token_hash);
