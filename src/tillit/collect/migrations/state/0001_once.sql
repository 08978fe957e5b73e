-- Message keys that were applied and are not yet in a full slice, as their micro-batches came. Grain: one per micro-batch.
CREATE TABLE seen_run (
  first_position {int64} PRIMARY KEY,
  message_hashes {bytes} NOT NULL,
  positions      {bytes} NOT NULL
);
-- Message keys of full slices, by their first byte: bucket = slice * 256 + byte. Grain: one per slice and first byte.
CREATE TABLE seen_bucket (
  bucket         {int64} PRIMARY KEY,
  message_hashes {bytes} NOT NULL,
  positions      {bytes} NOT NULL
);
-- Which slices may hold a key, as bits. Grain: one per 64 slices. Only a faster way to the same answer.
CREATE TABLE seen_filter (
  shelf      {int64} PRIMARY KEY,
  upto_slice {int64} NOT NULL,
  bits       {bytes} NOT NULL
);
