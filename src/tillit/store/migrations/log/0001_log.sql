-- The log: what happened, in order. Grain: one row per position. Positions are never reused (log_head says the next).
CREATE TABLE log (
  position     INTEGER PRIMARY KEY,
  logged_at    INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  source       TEXT NOT NULL,
  trust        INTEGER NOT NULL,
  received_at  INTEGER NOT NULL,
  event_at     INTEGER NOT NULL,
  message_hash BLOB NOT NULL,
  body         BLOB
);
CREATE TABLE log_head (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  position  INTEGER NOT NULL,
  logged_at INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  first_position INTEGER NOT NULL
);
INSERT INTO log_head VALUES (1, 0, 0, 1, 1);
-- What the door could not take. Same file as the log, so that one commit settles the fate of a whole batch.
CREATE TABLE quarantine (
  quarantine_id INTEGER PRIMARY KEY AUTOINCREMENT,
  received_at   INTEGER NOT NULL,
  source        TEXT NOT NULL,
  trust         INTEGER NOT NULL,
  code          TEXT NOT NULL,
  reason        TEXT NOT NULL,
  message_id    TEXT,
  raw           BLOB NOT NULL,
  replayed_position INTEGER
);
CREATE INDEX quarantine_received ON quarantine (received_at);
