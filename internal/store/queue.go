package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// A queue keeps its jobs in the database of the store, so that a job becomes durable together with what causes it. Its library wants
// the database as it is; this file is where it gets it.

// SQLite is the one writer of the database, or nil on PostgreSQL.
func (s *Store) SQLite() *sql.DB {
	if s.pool != nil {
		return nil
	}
	return s.write
}

// Postgres are the connections to the database, or nil on SQLite.
func (s *Store) Postgres() *pgxpool.Pool { return s.pool }

// SQLite is the transaction as it is. It must not be ended.
func (tx *Tx) SQLite() *sql.Tx { return tx.raw }

// Postgres lends the transaction as it is to use; it must not be ended. On SQLite it is an error.
func (tx *Tx) Postgres(ctx context.Context, use func(pgx.Tx) error) error {
	return tx.conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return errors.New("this transaction is not of PostgreSQL")
		}
		return use(&lent{c.Conn(), 0})
	})
}

// lent is a transaction that was begun elsewhere, and in it transactions that are savepoints.
type lent struct {
	conn  *pgx.Conn
	depth int
}

func (l *lent) exec(ctx context.Context, command string) error {
	if _, err := l.conn.Exec(ctx, fmt.Sprintf("%s nested_%d", command, l.depth)); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

func (l *lent) Begin(ctx context.Context) (pgx.Tx, error) {
	inner := &lent{l.conn, l.depth + 1}
	return inner, inner.exec(ctx, "SAVEPOINT")
}

var errLent = errors.New("a transaction that was lent is ended by its owner")

func (l *lent) Commit(ctx context.Context) error {
	if l.depth == 0 {
		return errLent
	}
	return l.exec(ctx, "RELEASE SAVEPOINT")
}

func (l *lent) Rollback(ctx context.Context) error {
	if l.depth == 0 {
		return errLent
	}
	return l.exec(ctx, "ROLLBACK TO SAVEPOINT")
}

func (l *lent) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return l.conn.CopyFrom(ctx, table, columns, rows)
}

func (l *lent) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return l.conn.SendBatch(ctx, b)
}

func (l *lent) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

func (l *lent) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	return l.conn.Prepare(ctx, name, query)
}

func (l *lent) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	return l.conn.Exec(ctx, query, args...)
}

func (l *lent) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	return l.conn.Query(ctx, query, args...)
}

func (l *lent) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	return l.conn.QueryRow(ctx, query, args...)
}

func (l *lent) Conn() *pgx.Conn { return l.conn }
