-- name: StartBudget :exec
INSERT INTO budgets (host, month, used) VALUES ($1, $2, 0) ON CONFLICT (host) DO NOTHING;

-- name: LockBudget :one
UPDATE budgets SET used = budgets.used WHERE host = $1 RETURNING *;

-- name: SetBudget :exec
UPDATE budgets SET month = $2, used = $3 WHERE host = $1;
