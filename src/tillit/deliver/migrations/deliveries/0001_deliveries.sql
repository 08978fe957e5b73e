-- How far the outbox was taken. Grain: one row.
CREATE TABLE taken (
  one      {int64} PRIMARY KEY,
  epoch    {int64} NOT NULL,
  position {int64} NOT NULL
);

-- One thing that is to leave. Grain: one per destination and message, event, or change of a record. Journal.
-- state: waiting, claimed, delivered, unchanged, refused, dead, unknown, withheld. n_forgiven: tries before it was last
-- replayed. Units: UTC epoch microseconds.
CREATE TABLE delivery (
  delivery_id   {int64} PRIMARY KEY,
  delivery_key  {bytes} NOT NULL UNIQUE,
  kind          {text} NOT NULL,
  destination   {text} NOT NULL,
  template      {text} NOT NULL,
  purpose       {text} NOT NULL,
  message_class {text} NOT NULL,
  position      {int64} NOT NULL,
  record_key    {text} NOT NULL,
  subject_ref   {text} NOT NULL,
  state         {text} NOT NULL,
  code          {text} NOT NULL,
  due_at        {int64} NOT NULL,
  lease_until   {int64} NOT NULL,
  fence         {int64} NOT NULL,
  courier       {text} NOT NULL,
  n_attempts    {int64} NOT NULL,
  n_forgiven    {int64} NOT NULL,
  is_again      {int64} NOT NULL,
  is_told       {int64} NOT NULL,
  created_at    {int64} NOT NULL,
  ended_at      {int64}
);
CREATE INDEX delivery_due ON delivery (destination, due_at, delivery_id) WHERE state = 'waiting';
CREATE INDEX delivery_leased ON delivery (lease_until) WHERE state = 'claimed';
CREATE INDEX delivery_untold ON delivery (delivery_id) WHERE is_told = 0;
CREATE INDEX delivery_state ON delivery (destination, state, delivery_id);
CREATE INDEX delivery_subject ON delivery (subject_ref, delivery_id);
CREATE INDEX delivery_position ON delivery (position);
CREATE INDEX delivery_ended ON delivery (destination, ended_at) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX delivery_open ON delivery (destination, record_key)
  WHERE kind = 'record' AND state IN ('waiting', 'claimed');
-- One time that a courier turned to the wire; written before it did. Grain: one per delivery and try.
-- outcome: empty while it is under way; stopped: it never went. words: the recipient's own. disclosure: 0 none due, 1 due, 2 in the ledger.
CREATE TABLE attempt (
  delivery_id     {int64} NOT NULL,
  attempt         {int64} NOT NULL,
  fence           {int64} NOT NULL,
  begun_at        {int64} NOT NULL,
  ended_at        {int64},
  what            {text} NOT NULL,
  outcome         {text} NOT NULL,
  code            {text} NOT NULL,
  words           {text} NOT NULL,
  reference       {text} NOT NULL,
  subject_ref     {text} NOT NULL,
  field_names     {text} NOT NULL,
  payload_hash    {bytes} NOT NULL,
  basis           {text} NOT NULL,
  record_position {int64},
  decided_at      {int64} NOT NULL,
  until_at        {int64},
  address_hash    {bytes} NOT NULL,
  is_again        {int64} NOT NULL,
  disclosure      {int64} NOT NULL,
  PRIMARY KEY (delivery_id, attempt)
) {clustered};
CREATE INDEX attempt_undisclosed ON attempt (delivery_id) WHERE disclosure = 1;
CREATE INDEX attempt_subject ON attempt (subject_ref);
CREATE INDEX attempt_reference ON attempt (reference) WHERE reference <> '';
-- What a destination has. Grain: one per destination and record (a person or an event) that was ever sent there.
-- state: pending, acknowledged, rejected, removing, removed.
CREATE TABLE record (
  destination  {text} NOT NULL,
  record_key   {text} NOT NULL,
  kind         {text} NOT NULL,
  subject_ref  {text} NOT NULL,
  position     {int64} NOT NULL,
  payload_hash {bytes} NOT NULL,
  state        {text} NOT NULL,
  code         {text} NOT NULL,
  generation   {int64} NOT NULL,
  changed_at   {int64} NOT NULL,
  until_at     {int64},
  PRIMARY KEY (destination, record_key)
) {clustered};
CREATE INDEX record_subject ON record (subject_ref, kind, state);
CREATE INDEX record_until ON record (until_at) WHERE until_at IS NOT NULL;
CREATE INDEX record_state ON record (destination, state);
-- People to be looked at again: something was said of whoever holds an identifier (is_whole: also each event that was
-- sent of theirs may be somebody else's now). Grain: one per identifier.
CREATE TABLE touched (
  identifier_id {int64} PRIMARY KEY,
  is_whole      {int64} NOT NULL,
  due_at        {int64} NOT NULL
);
CREATE INDEX touched_due ON touched (due_at);
-- How a destination is. Grain: one per destination.
CREATE TABLE destination_standing (
  destination  {text} PRIMARY KEY,
  paused_at    {int64},
  paused_by    {text} NOT NULL,
  pause_code   {text} NOT NULL,
  resting_until {int64} NOT NULL,
  n_failed     {int64} NOT NULL,
  delivered_at {int64},
  failed_at    {int64},
  fail_code    {text} NOT NULL
);
-- A walk over everybody, for destinations that follow people. Grain: one row.
CREATE TABLE walk (
  one        {int64} PRIMARY KEY,
  terms      {text} NOT NULL,
  after_id   {int64} NOT NULL,
  begun_at   {int64} NOT NULL,
  ended_at   {int64}
);
-- Whom nothing is sent to. Grain: one per time that somebody came onto the list. An address is kept as a keyed hash.
CREATE TABLE suppression (
  suppression_id {int64} PRIMARY KEY,
  subject_kind   {text} NOT NULL,
  subject_hash   {bytes} NOT NULL,
  reason         {text} NOT NULL,
  purpose        {text} NOT NULL,
  source         {text} NOT NULL,
  at             {int64} NOT NULL,
  by_whom        {text} NOT NULL,
  words          {text} NOT NULL,
  subject_ref    {text} NOT NULL,
  delivery_id    {int64},
  lifted_at      {int64},
  lifted_by      {text} NOT NULL,
  lifted_words   {text} NOT NULL
);
CREATE INDEX suppression_hash ON suppression (subject_hash) WHERE lifted_at IS NULL;
-- What recipients told later of a delivery. Grain: one per report, by its hash.
CREATE TABLE feedback (
  feedback_hash {bytes} PRIMARY KEY,
  delivery_id   {int64} NOT NULL,
  kind          {text} NOT NULL,
  code          {text} NOT NULL,
  at            {int64} NOT NULL
) {clustered};
CREATE INDEX feedback_delivery ON feedback (delivery_id);
-- Messages that were asked for, so that the same key asks once. Grain: one per key of whoever asks; without one, per
-- request. Keyed hashes. position: of the request in the log, 0 until it is there.
CREATE TABLE message_request (
  request_hash {bytes} PRIMARY KEY,
  body_hash    {bytes} NOT NULL,
  delivery_key {bytes} NOT NULL,
  template     {text} NOT NULL,
  position     {int64} NOT NULL,
  asked_at     {int64} NOT NULL
) {clustered};
CREATE INDEX message_request_delivery ON message_request (delivery_key);
-- A customer's address that is being verified by a code. Grain: one per code that was asked for. The code is not kept: it
-- follows from the id and the address. position: of the request in the log. address_hash: keyed.
CREATE TABLE verification (
  verification_id {text} PRIMARY KEY,
  asked_by        {text} NOT NULL,
  address_hash    {bytes} NOT NULL,
  position        {int64} NOT NULL,
  n_tries         {int64} NOT NULL,
  created_at      {int64} NOT NULL,
  verified_at     {int64}
) {clustered};
CREATE INDEX verification_address ON verification (address_hash, created_at);
CREATE INDEX verification_created ON verification (created_at);

-- How far changes of audiences were followed: whoever came or went is looked at for destinations that have an audience.
CREATE TABLE followed (
  one       {int64} PRIMARY KEY,
  change_id {int64} NOT NULL
);
