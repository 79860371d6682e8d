-- name: StartBlob :exec
INSERT INTO blobs (digest, state, generation, size, stored, encoding, pinned, kept_at) VALUES ($1, 'writing', 0, $2, 0, '', 0, 0)
ON CONFLICT (digest) DO NOTHING;

-- name: LockBlob :one
UPDATE blobs SET size = blobs.size WHERE digest = $1 RETURNING *;

-- name: GetBlob :one
SELECT * FROM blobs WHERE digest = $1;

-- name: SetBlobState :exec
UPDATE blobs SET state = $2, generation = $3, stored = $4 WHERE digest = $1;

-- name: SetBlobKept :exec
UPDATE blobs SET state = 'kept', stored = $2, encoding = $3, kept_at = $4 WHERE digest = $1;

-- name: SetBlobPinned :exec
UPDATE blobs SET pinned = $2 WHERE digest = $1;

-- name: AddBlobState :exec
INSERT INTO blob_states (digest, state, detail, by_whom, at) VALUES ($1, $2, $3, $4, $5);

-- name: ListBlobStates :many
SELECT * FROM blob_states WHERE digest = $1 ORDER BY id;

-- name: AddLease :one
INSERT INTO leases (digest, generation, ends_at) VALUES ($1, $2, $3) RETURNING id;

-- name: GetLease :one
SELECT * FROM leases WHERE id = $1;

-- name: ExtendLease :execrows
UPDATE leases SET ends_at = $2 WHERE id = $1;

-- name: EndLease :exec
DELETE FROM leases WHERE id = $1;

-- name: DropLeases :exec
DELETE FROM leases WHERE digest = $1 AND ends_at <= $2;

-- name: BlobsAfter :many
SELECT * FROM blobs WHERE digest > $1 ORDER BY digest LIMIT $2;

-- name: OldBlobs :many
SELECT * FROM blobs WHERE state = 'kept' AND pinned = 0 AND (kept_at > sqlc.arg(kept_at) OR kept_at = sqlc.arg(kept_at) AND digest > sqlc.arg(digest))
ORDER BY kept_at, digest LIMIT sqlc.arg(n);

-- name: OpenBlobs :many
SELECT * FROM blobs WHERE state IN ('writing', 'condemned', 'damaged') AND digest > $1 ORDER BY digest LIMIT $2;

-- name: VersionsWith :many
SELECT v.*, p.name FROM versions v JOIN packages p ON p.id = v.package_id WHERE v.blob = $1 AND v.blob <> '' ORDER BY v.id LIMIT $2;

-- name: OtherBytesWith :many
SELECT o.*, v.version AS version, p.name FROM other_bytes o JOIN versions v ON v.id = o.version_id JOIN packages p ON p.id = v.package_id
WHERE o.blob = $1 AND o.blob <> '' ORDER BY o.id LIMIT $2;

-- name: DocumentsWith :many
SELECT d.*, p.name, p.document AS current FROM documents d JOIN packages p ON p.id = d.package_id
WHERE d.blob = $1 AND d.blob <> '' ORDER BY d.id LIMIT $2;

-- name: Needed :one
SELECT CAST(EXISTS (SELECT 1 FROM versions v WHERE v.blob = sqlc.arg(blob) AND v.blob <> ''
    AND (v.state = 'removed' OR v.stage IN ('seen', 'fetched', 'failed') OR v.level IN ('suspicious', 'malicious')))
  OR EXISTS (SELECT 1 FROM other_bytes o WHERE o.blob = sqlc.arg(blob) AND o.blob <> '')
  OR EXISTS (SELECT 1 FROM documents d JOIN packages p ON p.id = d.package_id WHERE d.blob = sqlc.arg(blob) AND d.blob <> ''
    AND (p.document = d.blob OR p.state NOT IN ('announced', 'normal')))
  OR EXISTS (SELECT 1 FROM leases l WHERE l.digest = sqlc.arg(blob) AND l.ends_at > sqlc.arg(at)) AS BOOLEAN) AS needed;
