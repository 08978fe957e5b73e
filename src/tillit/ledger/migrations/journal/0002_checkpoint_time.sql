-- When it was signed; none of those from before.
ALTER TABLE ledger_checkpoint ADD COLUMN made_at {int64};
