-- The public half of an identity key, as RFC 8037 writes it; empty for keys that are sent. The private half is never stored.
ALTER TABLE access_key ADD COLUMN public_key {text} NOT NULL DEFAULT '';
