-- What a session acts for, as its operator chose; empty: what comes first.
ALTER TABLE console_session ADD COLUMN purpose {text} NOT NULL DEFAULT '';
