-- name: GetPackage :one
SELECT * FROM packages WHERE name = $1;

-- name: LockPackage :one
UPDATE packages SET rev = packages.rev WHERE id = $1 RETURNING *;

-- name: SettlePackage :exec
UPDATE packages SET synced = $2 WHERE id = $1 AND synced < $2;

-- name: Behind :many
SELECT * FROM packages WHERE announced > synced AND announced_at < $1 ORDER BY announced_at, id LIMIT $2;

-- name: SetDocument :exec
UPDATE packages SET state = $2, rev = $3, etag = $4, document = $5, problem = $6, synced_at = $7 WHERE id = $1;

-- name: AddDocument :exec
INSERT INTO documents (package_id, blob, rev, etag, state, problem, at) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: ListDocuments :many
SELECT * FROM documents WHERE package_id = $1 ORDER BY id;

-- name: AddTag :exec
INSERT INTO dist_tags (package_id, tag, version, at) VALUES ($1, $2, $3, $4);

-- name: CurrentTags :many
SELECT t.tag, t.version FROM dist_tags t WHERE t.package_id = $1 AND t.version <> ''
  AND t.id = (SELECT max(u.id) FROM dist_tags u WHERE u.package_id = t.package_id AND u.tag = t.tag) ORDER BY t.tag;

-- name: ListTags :many
SELECT * FROM dist_tags WHERE package_id = $1 ORDER BY id;
