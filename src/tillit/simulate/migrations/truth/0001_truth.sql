-- Which shop this is the truth of. Grain: one. The same seed, size and days make it again.
CREATE TABLE true_shop (
  one         {int64} PRIMARY KEY,
  seed        {int64} NOT NULL,
  n_customers {int64} NOT NULL,
  days        {int64} NOT NULL,
  end_at      {int64} NOT NULL
);
-- Somebody, or a robot. Grain: one per person; all robots are person -1.
CREATE TABLE true_person (
  person_id    {int64} PRIMARY KEY,
  kind         {text} NOT NULL,
  household_id {int64} NOT NULL,
  locale       {text} NOT NULL,
  timezone     {text} NOT NULL,
  joined_at    {int64},
  member_from  {int64}
);
-- Who live at one address. Grain: one per household; its people name it.
CREATE TABLE true_household (
  household_id {int64} PRIMARY KEY,
  address      {text} NOT NULL,
  city         {text} NOT NULL
);
-- An identifier was somebody's from then to then. Grain: one per identifier, person and time. Without a person it is nobody's.
CREATE TABLE true_identifier (
  namespace {text} NOT NULL,
  value     {text} NOT NULL,
  person_id {int64},
  from_at   {int64} NOT NULL,
  until_at  {int64},
  why       {text} NOT NULL
);
CREATE INDEX true_identifier_value ON true_identifier (value, namespace);
-- Who it really was. Grain: one per message, named as the log names it; resends share one.
CREATE TABLE true_event (
  message_hash {bytes} PRIMARY KEY,
  person_id    {int64} NOT NULL
) {clustered};
-- A customer left. Grain: one per person who did.
CREATE TABLE true_lapse (
  person_id     {int64} PRIMARY KEY,
  at            {int64} NOT NULL,
  why           {text} NOT NULL,
  n_visits_lost {int64} NOT NULL
);
-- Something happened because of something else; `without` says what else would have been. Grain: one per effect.
CREATE TABLE true_effect (
  effect_id  {int64} PRIMARY KEY,
  person_id  {int64} NOT NULL,
  at         {int64} NOT NULL,
  cause      {text} NOT NULL,
  cause_key  {text} NOT NULL,
  effect     {text} NOT NULL,
  effect_key {text} NOT NULL,
  without    {text} NOT NULL
);
-- A mailing and what was planted about it. Grain: one per campaign.
CREATE TABLE true_campaign (
  campaign_id {text} PRIMARY KEY,
  subject     {text} NOT NULL,
  sent_at     {int64} NOT NULL,
  until_at    {int64} NOT NULL
);
-- A customer who might have been mailed: were they, and who would have bought. Grain: one per campaign and person.
CREATE TABLE true_treatment (
  campaign_id  {text} NOT NULL,
  person_id    {int64} NOT NULL,
  is_treated   {int64} NOT NULL,
  buys_without {int64} NOT NULL,
  buys_with    {int64} NOT NULL,
  PRIMARY KEY (campaign_id, person_id)
) {clustered};
-- A planted identity trap and what a right system does with it. Grain: one per trap.
CREATE TABLE true_trap (
  trap_id  {int64} PRIMARY KEY,
  kind     {text} NOT NULL,
  expected {text} NOT NULL,
  should   {text} NOT NULL
);
-- What a trap is made of: sides from 1, which are to be joined or kept apart; 0 is what tempts. Grain: one per identifier in a trap.
CREATE TABLE true_trap_identifier (
  trap_id   {int64} NOT NULL,
  side      {int64} NOT NULL,
  namespace {text} NOT NULL,
  value     {text} NOT NULL
);
CREATE INDEX true_trap_identifier_trap ON true_trap_identifier (trap_id);
