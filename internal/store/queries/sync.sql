-- name: GetVersion :one
SELECT * FROM versions WHERE id = $1;

-- name: GetPackageByID :one
SELECT * FROM packages WHERE id = $1;

-- name: IntroducePackage :exec
INSERT INTO packages (name, announced_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: StayPackage :execrows
UPDATE packages SET epoch = sqlc.arg(epoch) WHERE name = sqlc.arg(name) AND announced_rev = sqlc.arg(rev) AND gone = sqlc.arg(gone);

-- name: MissingPackages :many
SELECT name FROM packages WHERE epoch < sqlc.arg(epoch) AND announced > 0 AND gone = 0 ORDER BY epoch LIMIT sqlc.arg(n);

-- name: CheckFeed :exec
UPDATE feeds SET checked_at = $2 WHERE name = $1;

-- name: OpenVersions :many
SELECT id, stage FROM versions WHERE stage IN ('seen', 'fetched') AND id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(n);

-- name: ReopenVersion :exec
UPDATE versions SET stage = 'seen', reason = '', tarball = $2, integrity = $3 WHERE id = $1;
