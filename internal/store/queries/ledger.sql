-- name: StartBudget :exec
INSERT INTO budgets (host, month, used) VALUES ($1, $2, 0) ON CONFLICT (host) DO NOTHING;

-- name: GetBudget :one
SELECT * FROM budgets WHERE host = $1;

-- name: LockBudget :one
UPDATE budgets SET used = budgets.used WHERE host = $1 RETURNING *;

-- name: SetBudget :exec
UPDATE budgets SET month = $2, used = $3 WHERE host = $1;

-- name: Tally :exec
INSERT INTO tallies (day, kind, name, reason, part, n, total) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (day, kind, name, reason, part) DO UPDATE SET n = tallies.n + excluded.n, total = tallies.total + excluded.total;

-- name: Tallies :many
SELECT kind, name, reason, CAST(sum(n) AS BIGINT) AS n, CAST(sum(total) AS BIGINT) AS total FROM tallies
WHERE day >= $1 AND day < $2 GROUP BY kind, name, reason ORDER BY kind, name, reason;

-- name: AddDuration :exec
INSERT INTO durations (day, measure, bucket, n) VALUES ($1, $2, $3, 1)
ON CONFLICT (day, measure, bucket) DO UPDATE SET n = durations.n + 1;

-- name: Durations :many
SELECT measure, bucket, CAST(sum(n) AS BIGINT) AS n FROM durations WHERE day >= $1 AND day < $2 GROUP BY measure, bucket ORDER BY measure, bucket;
