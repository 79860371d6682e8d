-- name: AddVerdict :one
INSERT INTO verdicts (version_id, blob, profile, scanner, knowledge, level, preliminary, categories, why, at, stages)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (version_id, blob, profile, scanner, knowledge) DO NOTHING
RETURNING id;

-- name: AddReport :exec
INSERT INTO reports (verdict_id, data) VALUES ($1, $2);

-- name: AddFact :exec
INSERT INTO facts (kind, value, verdict_id) VALUES ($1, $2, $3) ON CONFLICT (kind, value, verdict_id) DO NOTHING;

-- name: GetVerdict :one
SELECT * FROM verdicts WHERE id = $1;

-- name: VerdictsOf :many
SELECT * FROM verdicts WHERE version_id = $1 ORDER BY id;

-- name: CurrentVerdict :one
SELECT d.* FROM verdicts d WHERE d.version_id = sqlc.arg(version_id) AND d.blob = sqlc.arg(blob)
  AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.verdict_id = d.id) ORDER BY d.id DESC LIMIT 1;

-- name: GetReport :one
SELECT data FROM reports WHERE verdict_id = $1;

-- name: Withdraw :execrows
INSERT INTO withdrawals (verdict_id, by_whom, why, at) VALUES ($1, $2, $3, $4) ON CONFLICT (verdict_id) DO NOTHING;

-- name: GetWithdrawal :one
SELECT * FROM withdrawals WHERE verdict_id = $1;

-- name: ListWithdrawals :many
SELECT w.* FROM withdrawals w JOIN verdicts d ON d.id = w.verdict_id WHERE d.version_id = $1 ORDER BY w.verdict_id;
