-- How far the log was looked through for events of one time of keeping, under the purposes in force. Grain: one per policy and time.
CREATE TABLE retention_mark (
  policy   {text} NOT NULL,
  span_us  {int64} NOT NULL,
  epoch    {int64} NOT NULL,
  position {int64} NOT NULL,
  PRIMARY KEY (policy, span_us)
);
-- An event whose time is over and that stays for now: its person is held, or an answer rests on it. Grain: one per event.
CREATE TABLE retention_left (
  position {int64} PRIMARY KEY
);
-- The last sweep that came to its end. Grain: one per policy.
CREATE TABLE retention_sweep (
  policy   {text} PRIMARY KEY,
  swept_at {int64} NOT NULL,
  n_events {int64} NOT NULL
);
