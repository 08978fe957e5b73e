-- Definitions are few and asked for before anything is folded anew; they stay when the log is trimmed.
CREATE INDEX log_definition ON log (position) WHERE kind = 3;
