-- What is kept of packages' documents, of tags and of bytes; and sums, so that nothing has to be counted to be shown.
-- +goose Up

-- What the registry said of a package, whenever that changed. Append only.
CREATE TABLE documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id BIGINT NOT NULL REFERENCES packages (id),
  blob TEXT NOT NULL,                       -- the raw document; '' when there was none
  rev TEXT NOT NULL,
  etag TEXT NOT NULL,
  state TEXT NOT NULL,                      -- of the package, as in packages
  problem TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX documents_package ON documents (package_id, id);
CREATE INDEX documents_blob ON documents (blob) WHERE blob <> '';

-- Where dist-tags pointed, and from when. Append only; the last row of a tag counts.
CREATE TABLE dist_tags (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id BIGINT NOT NULL REFERENCES packages (id),
  tag TEXT NOT NULL,
  version TEXT NOT NULL,                    -- '' when the tag was taken away
  at BIGINT NOT NULL
);
CREATE INDEX dist_tags_package ON dist_tags (package_id, tag, id);
ALTER TABLE packages DROP COLUMN tags;

-- Bytes that a version had, or was said to have, beside those it has now. Append only.
CREATE TABLE other_bytes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version_id BIGINT NOT NULL REFERENCES versions (id),
  why TEXT NOT NULL,                        -- replaced: published again with other bytes; mismatch: not what the document promises
  blob TEXT NOT NULL,                       -- '' when they were never fetched
  size BIGINT NOT NULL,
  integrity TEXT NOT NULL,
  tarball TEXT NOT NULL,
  published_at BIGINT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX other_bytes_version ON other_bytes (version_id, id);
CREATE INDEX other_bytes_blob ON other_bytes (blob) WHERE blob <> '';

-- What was ever kept. Who needs a blob stands in versions, other_bytes, documents, pins and leases.
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,                  -- of the bytes, as sha512-<base64>
  state TEXT NOT NULL,                      -- writing, kept, condemned, collected, damaged
  generation BIGINT NOT NULL,               -- counts how often it was condemned, and is part of the object's name: what deletes late
                                            -- cannot meet what was written since
  size BIGINT NOT NULL,                     -- bytes
  stored BIGINT NOT NULL,                   -- bytes of the object
  encoding TEXT NOT NULL,                   -- '' or zstd
  pinned BIGINT NOT NULL,                   -- 1 when a pin holds it
  kept_at BIGINT NOT NULL
);
CREATE INDEX blobs_age ON blobs (kept_at, digest) WHERE state = 'kept' AND pinned = 0;
CREATE INDEX blobs_open ON blobs (digest) WHERE state IN ('writing', 'condemned', 'damaged');

-- What happened to a blob, in order. Append only.
CREATE TABLE blob_states (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL REFERENCES blobs (digest),
  state TEXT NOT NULL,                      -- as in blobs; and pinned, unpinned
  detail TEXT NOT NULL,
  by_whom TEXT NOT NULL,                    -- '' for the program
  at BIGINT NOT NULL
);
CREATE INDEX blob_states_digest ON blob_states (digest, id);

-- Who works with a blob right now: it is not condemned before the lease ends.
CREATE TABLE leases (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL REFERENCES blobs (digest),
  generation BIGINT NOT NULL,
  ends_at BIGINT NOT NULL
);
CREATE INDEX leases_digest ON leases (digest, ends_at);

-- Sums by day of first sight. n and total are the sums over the parts of a row, which keep processes out of each other's way.
CREATE TABLE tallies (
  day BIGINT NOT NULL,                      -- days since 1970; 0 for sums over all time
  kind TEXT NOT NULL,                       -- stage, outcome, level, blob
  name TEXT NOT NULL,
  reason TEXT NOT NULL,
  part BIGINT NOT NULL,
  n BIGINT NOT NULL,
  total BIGINT NOT NULL,
  PRIMARY KEY (day, kind, name, reason, part)
);
INSERT INTO tallies (day, kind, name, reason, part, n, total)
SELECT first_seen_at / 86400000, 'stage', stage, reason, 0, count(*), 0 FROM versions GROUP BY 1, 3, 4;
INSERT INTO tallies (day, kind, name, reason, part, n, total)
SELECT first_seen_at / 86400000, 'level', level, '', 0, count(*), 0 FROM versions WHERE level <> '' GROUP BY 1, 3;

-- How long things took, by day of first sight: how many took as long as a bucket says, of which there are 16 for each doubling.
CREATE TABLE durations (
  day BIGINT NOT NULL,
  measure TEXT NOT NULL,                    -- from-publication, from-sight, fetch, analyse, stage/NAME
  bucket BIGINT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (day, measure, bucket)
);

ALTER TABLE verdicts ADD COLUMN stages TEXT NOT NULL DEFAULT '';   -- what ran and how long, as JSON
CREATE INDEX versions_seen ON versions (first_seen_at, id);

-- +goose Down
DROP INDEX versions_seen;
ALTER TABLE verdicts DROP COLUMN stages;
DROP TABLE durations;
DROP TABLE tallies;
DROP TABLE leases;
DROP TABLE blob_states;
DROP TABLE blobs;
DROP TABLE other_bytes;
ALTER TABLE packages ADD COLUMN tags TEXT NOT NULL DEFAULT '';
DROP TABLE dist_tags;
DROP TABLE documents;
