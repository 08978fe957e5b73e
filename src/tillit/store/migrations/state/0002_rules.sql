-- Where the identity rules stand in the log under which everything was folded (0: the default rules).
ALTER TABLE fold ADD COLUMN rules {int64} NOT NULL DEFAULT 0;
