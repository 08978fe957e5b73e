-- What a customer asked of us about their data. Grain: one per request. Journal: only added to. Names nobody in clear.
CREATE TABLE request (
  request_id    {text} PRIMARY KEY,
  kind          {text} NOT NULL,
  profile_id    {text} NOT NULL,
  subject_token {text} NOT NULL,
  regime        {text} NOT NULL,
  asked_by      {text} NOT NULL,
  filed_level   {int64} NOT NULL,
  received_at   {int64} NOT NULL
);
CREATE INDEX request_subject ON request (subject_token, received_at);
CREATE INDEX request_received ON request (received_at);
-- What was done about a request. Grain: one per act; the newest one's state is the request's. Journal: only added to.
CREATE TABLE request_step (
  step_id     {int64} PRIMARY KEY,
  request_id  {text} NOT NULL,
  at          {int64} NOT NULL,
  action      {text} NOT NULL,
  state       {text} NOT NULL,
  by_whom     {text} NOT NULL,
  level       {int64} NOT NULL,
  via         {text} NOT NULL,
  evidence    {text} NOT NULL,
  code        {text} NOT NULL,
  until_at    {int64},
  original_id {text} NOT NULL,
  missing     {text} NOT NULL
);
CREATE INDEX request_step_request ON request_step (request_id, step_id);
CREATE INDEX request_step_original ON request_step (original_id);
-- What became of a part of a request. Grain: one per try; the newest one counts. Journal: only added to.
CREATE TABLE request_part (
  try_id     {int64} PRIMARY KEY,
  request_id {text} NOT NULL,
  part       {text} NOT NULL,
  at         {int64} NOT NULL,
  outcome    {text} NOT NULL,
  code       {text} NOT NULL,
  n_rows     {int64} NOT NULL
);
CREATE INDEX request_part_request ON request_part (request_id, try_id);
-- Whom we told of a request, and what they said. Grain: one per message or answer; the newest one counts. Journal: only added to.
CREATE TABLE request_recipient (
  answer_id  {int64} PRIMARY KEY,
  request_id {text} NOT NULL,
  recipient  {text} NOT NULL,
  at         {int64} NOT NULL,
  answer     {text} NOT NULL,
  evidence   {text} NOT NULL
);
CREATE INDEX request_recipient_request ON request_recipient (request_id, answer_id);
-- Why a colleague did a step, in their own words. Grain: one per step with words. Goes when the person is forgotten.
CREATE TABLE request_reason (
  step_id     {int64} PRIMARY KEY,
  request_id  {text} NOT NULL,
  reason_text {text} NOT NULL
);
CREATE INDEX request_reason_request ON request_reason (request_id);
