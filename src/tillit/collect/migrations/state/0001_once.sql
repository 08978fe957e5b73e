-- Slices of the message keys that were applied: seen_00000, seen_00001, … are made as the log grows. Grain: one per slice.
CREATE TABLE seen_slice (
  slice  {int64} PRIMARY KEY,
  n_keys {int64} NOT NULL
);
-- Which slices may hold a key, as bits. Grain: one per 64 slices. Only a faster way to the same answer.
CREATE TABLE seen_filter (
  shelf      {int64} PRIMARY KEY,
  upto_slice {int64} NOT NULL,
  bits       {bytes} NOT NULL
);
