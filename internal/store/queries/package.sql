-- name: GetPackage :one
SELECT * FROM packages WHERE name = $1;

-- name: SettlePackage :exec
UPDATE packages SET synced = $2 WHERE id = $1 AND synced < $2;

-- name: Behind :many
SELECT * FROM packages WHERE announced > synced AND announced_at < sqlc.arg(before) AND announced_at >= sqlc.arg(from_at) ORDER BY announced_at LIMIT sqlc.arg(n);
