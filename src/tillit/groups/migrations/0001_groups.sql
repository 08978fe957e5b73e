-- What one event said of somebody's place in a group: that they belong to it or no longer do, in which role, between which instants.
-- Role and instants are empty when the event did not say them. Grain: one per event (its strand and its position).
CREATE TABLE group_member (
  group_key     {text} NOT NULL,
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  position      {int64} NOT NULL,
  event_at      {int64} NOT NULL,
  trust         {int64} NOT NULL,
  source        {text} NOT NULL,
  is_member     {int64} NOT NULL,
  role          {text},
  since_at      {int64},
  until_at      {int64},
  PRIMARY KEY (identifier_id, part, position)
) {clustered};
CREATE INDEX group_member_group ON group_member (group_key, identifier_id, part);
-- What the events of one strand say of a group itself: of each trait the best trusted value, of those the latest. Grain: one per (group, trait, strand).
CREATE TABLE group_trait (
  group_key     {text} NOT NULL,
  name          {text} NOT NULL,
  identifier_id {int64} NOT NULL,
  part          {int64} NOT NULL,
  trust         {int64} NOT NULL,
  event_at      {int64} NOT NULL,
  position      {int64} NOT NULL,
  source        {text} NOT NULL,
  value         {bytes} NOT NULL,
  PRIMARY KEY (group_key, name, identifier_id, part)
) {clustered};
CREATE INDEX group_trait_best ON group_trait (group_key, name, trust, event_at, position);
CREATE INDEX group_trait_strand ON group_trait (identifier_id, part);
