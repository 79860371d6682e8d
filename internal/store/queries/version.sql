-- name: GetVersionByName :one
SELECT v.* FROM packages p JOIN versions v ON v.package_id = p.id WHERE p.name = $1 AND v.version = $2;

-- name: LockVersion :one
UPDATE versions SET size = versions.size WHERE id = $1 RETURNING *;

-- name: AddVersion :one
INSERT INTO versions (package_id, version, state, stage, reason, removal, published_at, first_seen_at, removed_at, tarball, integrity, publisher, install_script)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (package_id, version) DO NOTHING
RETURNING *;

-- name: RemoveVersion :exec
UPDATE versions SET state = 'removed', removal = $2, removed_at = $3 WHERE id = $1;

-- name: RestoreVersion :exec
UPDATE versions SET state = 'present', removal = '', removed_at = 0 WHERE id = $1;

-- name: SetStage :exec
UPDATE versions SET stage = $2, reason = $3 WHERE id = $1;

-- name: SetFetched :exec
UPDATE versions SET stage = 'fetched', reason = '', blob = $2, size = $3, fetched_at = $4, fetch_ms = $5 WHERE id = $1;

-- name: SetReplaced :exec
UPDATE versions SET stage = 'seen', reason = '', blob = '', size = 0, fetched_at = 0, fetch_ms = 0, judged_at = 0, analyse_ms = 0, verdict_id = 0,
  level = '', tarball = $2, integrity = $3, published_at = $4, publisher = $5, install_script = $6 WHERE id = $1;

-- name: AddOtherBytes :exec
INSERT INTO other_bytes (version_id, why, blob, size, integrity, tarball, published_at, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: ListOtherBytes :many
SELECT * FROM other_bytes WHERE version_id = $1 ORDER BY id;

-- name: ListVersions :many
SELECT * FROM versions WHERE package_id = $1 ORDER BY id;

-- name: SetJudged :exec
UPDATE versions SET stage = 'judged', reason = '', judged_at = $2, analyse_ms = $3, verdict_id = $4, level = $5 WHERE id = $1;

-- name: SetLevel :exec
UPDATE versions SET verdict_id = $2, level = $3 WHERE id = $1;

-- name: AddVersionState :exec
INSERT INTO version_states (version_id, state, detail, at) VALUES ($1, $2, $3, $4);

-- name: ListVersionStates :many
SELECT * FROM version_states WHERE version_id = $1 ORDER BY id;
