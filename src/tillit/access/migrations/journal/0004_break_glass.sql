-- When a colleague looked at somebody without leave. Grain: one per opening. Journal: only added to, but for the end of
-- it, and for the reason, which is a colleague's words and goes when the person is erased.
CREATE TABLE break_glass (
  opening_id  {text} PRIMARY KEY,
  at          {int64} NOT NULL,
  until       {int64} NOT NULL,
  operator_id {text} NOT NULL,
  session_id  {text} NOT NULL,
  profile_id  {text} NOT NULL,
  reason      {text} NOT NULL
);
CREATE INDEX break_glass_session ON break_glass (session_id, until);
CREATE INDEX break_glass_profile ON break_glass (profile_id, at);
CREATE INDEX break_glass_at ON break_glass (at);
