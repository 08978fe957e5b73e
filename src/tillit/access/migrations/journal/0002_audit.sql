-- What operators did. Grain: one per action. Journal: only added to. Names ids, never a personal value.
CREATE TABLE audit (
  audit_id    {int64} PRIMARY KEY,
  at          {int64} NOT NULL,
  operator_id {text} NOT NULL,
  action      {text} NOT NULL,
  target      {text} NOT NULL,
  outcome     {text} NOT NULL,
  details     {text} NOT NULL
);
CREATE INDEX audit_operator ON audit (operator_id, audit_id);
CREATE INDEX audit_action ON audit (action, audit_id);
