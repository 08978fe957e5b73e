-- Staff who may open the console. Grain: one per operator, never deleted: journal and audit name them by id.
CREATE TABLE operator (
  operator_id   {text} PRIMARY KEY,
  login         {text} UNIQUE,
  name          {text} NOT NULL,
  role          {text} NOT NULL,
  password_hash {text},
  subject       {text} UNIQUE,
  created_at    {int64} NOT NULL,
  disabled_at   {int64}
);
-- Who is signed in. Grain: one per session, gone once it has ended. The cookie is never stored, only its sha256.
CREATE TABLE console_session (
  session_hash {bytes} PRIMARY KEY,
  session_id   {text} NOT NULL UNIQUE,
  operator_id  {text} NOT NULL,
  via          {text} NOT NULL,
  created_at   {int64} NOT NULL,
  last_seen_at {int64} NOT NULL,
  expires_at   {int64} NOT NULL
);
CREATE INDEX console_session_operator ON console_session (operator_id);
-- Links that sign in once. Grain: one per link, gone once it was used; an empty operator_id is the first admin's.
CREATE TABLE sign_in_link (
  link_hash   {bytes} PRIMARY KEY,
  operator_id {text} NOT NULL,
  expires_at  {int64} NOT NULL
);
-- Failed sign-ins. Grain: one per thing they are counted by (a login, an address, a device), of which only a hash is kept.
CREATE TABLE sign_in_attempt (
  attempt_hash {bytes} PRIMARY KEY,
  n_failed     {int64} NOT NULL,
  last_at      {int64} NOT NULL,
  open_at      {int64} NOT NULL
);
-- Browsers in which an operator has signed in before. Grain: one per browser and operator; only a hash of its cookie.
CREATE TABLE known_device (
  device_hash {bytes} PRIMARY KEY,
  operator_id {text} NOT NULL,
  seen_at     {int64} NOT NULL
);
