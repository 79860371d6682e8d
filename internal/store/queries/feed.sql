-- name: StartFeed :exec
INSERT INTO feeds (name, cursor, started_at, moved_at, checked_at) VALUES ($1, $2, $3, $3, $3) ON CONFLICT (name) DO NOTHING;

-- name: GetFeed :one
SELECT * FROM feeds WHERE name = $1;

-- name: MoveFeed :execrows
UPDATE feeds SET cursor = sqlc.arg(cursor), walking = sqlc.arg(walking), moved_at = CASE WHEN feeds.cursor = sqlc.arg(cursor) THEN feeds.moved_at ELSE sqlc.arg(moved_at) END, checked_at = sqlc.arg(checked_at)
WHERE name = sqlc.arg(name) AND cursor = sqlc.arg(since) AND epoch = sqlc.arg(epoch);

-- name: ResetFeed :execrows
UPDATE feeds SET cursor = '', walking = 1, epoch = feeds.epoch + 1, checked_at = sqlc.arg(checked_at) WHERE name = sqlc.arg(name) AND epoch = sqlc.arg(epoch);

-- name: AnnouncePackage :one
INSERT INTO packages (name, announced, announced_at, announced_seq, announced_rev, gone, epoch)
VALUES (sqlc.arg(name), 1, sqlc.arg(at), sqlc.arg(seq), sqlc.arg(rev), sqlc.arg(gone), sqlc.arg(epoch))
ON CONFLICT (name) DO UPDATE SET announced = packages.announced + 1, announced_at = excluded.announced_at, announced_seq = excluded.announced_seq,
  announced_rev = excluded.announced_rev, gone = excluded.gone, epoch = excluded.epoch
RETURNING *;
