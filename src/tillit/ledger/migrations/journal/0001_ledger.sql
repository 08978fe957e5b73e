-- Who received a person's values, and who looked at them. Grain: one per disclosure or access, numbered from 0 without a gap.
-- Journal: only added to. What it says is sealed under the person's key, which lies elsewhere; the hashes stay true without it.
CREATE TABLE ledger_entry (
  entry_index   {int64} PRIMARY KEY,
  at            {int64} NOT NULL,
  kind          {text} NOT NULL,
  subject_token {bytes} NOT NULL,
  commitment    {bytes} NOT NULL,
  leaf_hash     {bytes} NOT NULL,
  sealed        {bytes} NOT NULL
);
-- By slices of 16,384 entries: tokens are random, and an index over all of them would touch another page with every entry.
CREATE INDEX ledger_entry_subject ON ledger_entry (entry_index >> 14, subject_token, entry_index);
CREATE INDEX ledger_entry_at ON ledger_entry (at);
-- Inner nodes of the Merkle tree over the entries. Grain: one per complete subtree of 2, 4, 8, ... entries (level 1, 2, 3, ...).
CREATE TABLE ledger_node (
  level      {int64} NOT NULL,
  node_index {int64} NOT NULL,
  hash       {bytes} NOT NULL,
  PRIMARY KEY (level, node_index)
) {clustered};
-- Signed statements of what the ledger was. Grain: one per size at which one was asked for. A copy belongs with somebody else.
CREATE TABLE ledger_checkpoint (
  tree_size {int64} NOT NULL,
  note      {text} NOT NULL,
  PRIMARY KEY (tree_size, note)
) {clustered};
