CREATE TABLE authors (
  id integer PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE
);

CREATE TABLE documents (
  id bigint PRIMARY KEY,
  author_id integer NOT NULL,
  slug text NOT NULL,
  title text NOT NULL,
  status text NOT NULL,
  version integer NOT NULL,
  created timestamptz NOT NULL,
  updated timestamptz NOT NULL,
  body text NOT NULL,
  data jsonb NOT NULL
);

CREATE TABLE branches (
  bid integer PRIMARY KEY,
  bbalance integer NOT NULL,
  filler char(88)
);

CREATE TABLE accounts (
  aid integer PRIMARY KEY,
  bid integer NOT NULL,
  abalance integer NOT NULL,
  filler char(84)
);

CREATE TABLE events (
  id bigint PRIMARY KEY,
  document_id bigint NOT NULL,
  at timestamptz NOT NULL,
  kind text NOT NULL,
  address inet NOT NULL,
  agent text NOT NULL,
  payload jsonb NOT NULL
);

CREATE TABLE attachments (
  id uuid PRIMARY KEY,
  document_id bigint NOT NULL,
  name text NOT NULL,
  content bytea NOT NULL
);
