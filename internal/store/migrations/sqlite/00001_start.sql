-- Times are milliseconds since 1970 in UTC, 0 when unknown. Nothing is NULL: an absent text is ''.
-- +goose Up

-- The change feeds followed, and where.
CREATE TABLE feeds (
  name TEXT PRIMARY KEY,
  cursor TEXT NOT NULL DEFAULT '',       -- opaque; all before it is in packages
  epoch BIGINT NOT NULL DEFAULT 0,       -- counts how often the feed was numbered anew
  walking BIGINT NOT NULL DEFAULT 0,     -- 1 while the feed is read from its beginning to be compared
  started_at BIGINT NOT NULL,            -- versions published before are history
  moved_at BIGINT NOT NULL,              -- when the cursor last moved
  checked_at BIGINT NOT NULL             -- when the feed last answered
);

CREATE TABLE packages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL DEFAULT 'announced',  -- announced, normal, unpublished, security-holder, deleted, withheld, odd
  rev TEXT NOT NULL DEFAULT '',             -- of the document that the rest was derived from
  etag TEXT NOT NULL DEFAULT '',
  document TEXT NOT NULL DEFAULT '',        -- blob of that document
  tags TEXT NOT NULL DEFAULT '',            -- dist-tags as JSON
  problem TEXT NOT NULL DEFAULT '',         -- what was odd about the document
  announced BIGINT NOT NULL DEFAULT 0,      -- how often the feed named it
  synced BIGINT NOT NULL DEFAULT 0,         -- which of these announcements is accounted for
  announced_at BIGINT NOT NULL DEFAULT 0,
  announced_seq TEXT NOT NULL DEFAULT '',
  announced_rev TEXT NOT NULL DEFAULT '',
  gone BIGINT NOT NULL DEFAULT 0,           -- 1 when the feed said deleted
  epoch BIGINT NOT NULL DEFAULT 0,          -- of the feed that named it last
  synced_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX packages_behind ON packages (announced_at) WHERE announced > synced;
CREATE INDEX packages_epoch ON packages (epoch);

CREATE TABLE versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id BIGINT NOT NULL REFERENCES packages (id),
  version TEXT NOT NULL,
  state TEXT NOT NULL,                      -- present, removed
  stage TEXT NOT NULL,                      -- seen, fetched, judged; or an end without a verdict: skipped, lost, failed
  reason TEXT NOT NULL DEFAULT '',          -- of such an end
  removal TEXT NOT NULL DEFAULT '',         -- version, unpublished, security-holder, deleted, withheld, unseen
  published_at BIGINT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  fetched_at BIGINT NOT NULL DEFAULT 0,
  judged_at BIGINT NOT NULL DEFAULT 0,
  removed_at BIGINT NOT NULL DEFAULT 0,
  fetch_ms BIGINT NOT NULL DEFAULT 0,
  analyse_ms BIGINT NOT NULL DEFAULT 0,
  tarball TEXT NOT NULL,
  integrity TEXT NOT NULL,
  blob TEXT NOT NULL DEFAULT '',
  size BIGINT NOT NULL DEFAULT 0,
  publisher TEXT NOT NULL,
  install_script BIGINT NOT NULL,
  verdict_id BIGINT NOT NULL DEFAULT 0,     -- the verdict that counts
  level TEXT NOT NULL DEFAULT '',           -- of it
  UNIQUE (package_id, version)
);
CREATE INDEX versions_blob ON versions (blob) WHERE blob <> '';
CREATE INDEX versions_open ON versions (stage, id) WHERE stage IN ('seen', 'fetched', 'failed');

-- What happened to a version, in order. Append only.
CREATE TABLE version_states (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version_id BIGINT NOT NULL REFERENCES versions (id),
  state TEXT NOT NULL,                      -- present, removed, replaced, fetched, lost, failed, mismatch
  detail TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX version_states_version ON version_states (version_id, id);

-- Append only: a verdict that was wrong is withdrawn, not changed.
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version_id BIGINT NOT NULL REFERENCES versions (id),
  blob TEXT NOT NULL,
  profile TEXT NOT NULL,
  scanner TEXT NOT NULL,
  knowledge TEXT NOT NULL,
  level TEXT NOT NULL,
  preliminary TEXT NOT NULL,
  categories TEXT NOT NULL,
  why TEXT NOT NULL,
  at BIGINT NOT NULL,
  UNIQUE (version_id, blob, profile, scanner, knowledge)
);
CREATE INDEX verdicts_level ON verdicts (level, id);
CREATE INDEX verdicts_at ON verdicts (at);

CREATE TABLE withdrawals (
  verdict_id BIGINT PRIMARY KEY REFERENCES verdicts (id),
  by_whom TEXT NOT NULL,
  why TEXT NOT NULL,
  at BIGINT NOT NULL
);

-- The whole verdict as docs/report.schema.json has it, gzipped.
CREATE TABLE reports (
  verdict_id BIGINT PRIMARY KEY REFERENCES verdicts (id),
  data BLOB NOT NULL
);

-- What verdicts can be found by: category, behaviour, api, host.
CREATE TABLE facts (
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  verdict_id BIGINT NOT NULL REFERENCES verdicts (id),
  PRIMARY KEY (kind, value, verdict_id)
);

-- What the request budget of a host has come to.
CREATE TABLE budgets (
  host TEXT PRIMARY KEY,
  month BIGINT NOT NULL,                    -- as 202601
  used BIGINT NOT NULL
);

-- +goose Down
DROP TABLE budgets;
DROP TABLE facts;
DROP TABLE reports;
DROP TABLE withdrawals;
DROP TABLE verdicts;
DROP TABLE version_states;
DROP TABLE versions;
DROP TABLE packages;
DROP TABLE feeds;
