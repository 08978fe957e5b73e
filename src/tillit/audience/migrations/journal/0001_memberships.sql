-- Who is in which audience. Grain: one row per audience and person, the person by the root of their identifiers.
CREATE TABLE membership (
  audience {text} NOT NULL,
  root_id  {int64} NOT NULL,
  since_at {int64} NOT NULL,
  cause    {text} NOT NULL,
  position {int64} NOT NULL,
  PRIMARY KEY (audience, root_id)
) {clustered};
CREATE INDEX membership_root ON membership (root_id);

-- Every change that was published, once. The root of somebody erased leads nowhere.
CREATE TABLE membership_change (
  change_id {int64} PRIMARY KEY,
  audience  {text} NOT NULL,
  version   {int64} NOT NULL,
  root_id   {int64} NOT NULL,
  kind      {text} NOT NULL,
  at        {int64} NOT NULL,
  cause     {text} NOT NULL,
  position  {int64} NOT NULL,
  since_at  {int64} NOT NULL,
  from_root {int64} NOT NULL
);
CREATE INDEX membership_change_audience ON membership_change (audience, change_id);
CREATE INDEX membership_change_root ON membership_change (root_id, change_id);
CREATE INDEX membership_change_from ON membership_change (from_root) WHERE from_root <> 0;

-- When somebody is to be judged again though nothing happens: no later than an answer about them changes.
CREATE TABLE due (
  root_id {int64} PRIMARY KEY,
  due_at  {int64} NOT NULL
);
CREATE INDEX due_at ON due (due_at);

-- How each audience stands: the version that people were judged by, and how many are in it.
CREATE TABLE audience_standing (
  audience  {text} PRIMARY KEY,
  version   {int64} NOT NULL,
  judged_at {int64} NOT NULL,
  n_members {int64} NOT NULL
);

-- How many were in an audience at the end of a day. Grain: one row per audience and day (UTC, counted from 1970).
CREATE TABLE audience_day (
  audience  {text} NOT NULL,
  day       {int64} NOT NULL,
  n_members {int64} NOT NULL,
  PRIMARY KEY (audience, day)
) {clustered};

-- How far everybody was judged up to the log's position, and how far the walk over everybody has come.
CREATE TABLE judged (
  one       {int64} PRIMARY KEY,
  epoch     {int64} NOT NULL,
  position  {int64} NOT NULL,
  at        {int64} NOT NULL,
  walk      {int64} NOT NULL,
  cause     {text} NOT NULL,
  under     {text} NOT NULL
);
