// Package store records what the registry announced, what became of every version and what was judged of it. The same
// code works on SQLite, for one machine, and on PostgreSQL, for many; both pass one suite of tests.
//
// Histories are append-only: a version that was removed stays as a tombstone, a verdict that was wrong is withdrawn.
// Everything that changes is changed in Update, so that a cursor and the work that it causes become durable together.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/donapi/donapi/internal/store/db"
)

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate

//go:embed migrations
var migrations embed.FS

// ErrNotFound is returned for what the store does not hold.
var ErrNotFound = errors.New("not in the store")

// ErrBusy is returned for a transaction that others kept out of the way again and again. It changed nothing.
var ErrBusy = errors.New("other transactions were in the way")

// Store is an open database. It is safe for concurrent use.
type Store struct {
	write *sql.DB
	read  *sql.DB       // the same pool as write on PostgreSQL; SQLite has one writer and many readers
	pool  *pgxpool.Pool // where write takes its connections from on PostgreSQL
	query *db.Queries
	// isolation of Update. SQLite takes its one write lock at the start of a transaction and needs none.
	isolation sql.IsolationLevel
	migrate   *goose.Provider
	path      string // of SQLite's file
}

// Open opens the database that address names and brings its schema up to date: postgres://..., or for SQLite a path,
// with or without "sqlite:" before it.
func Open(ctx context.Context, address string) (*Store, error) {
	s, err := connect(address)
	if err != nil {
		return nil, err
	}
	if err := s.up(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the schema up to date: %w", err), s.Close())
	}
	return s, nil
}

// up brings the schema up to date. Processes that start together do it one after the other.
func (s *Store) up(ctx context.Context) error {
	if s.path == "" {
		_, err := s.migrate.Up(ctx) // goose has a lock for PostgreSQL
		return err
	}
	// For SQLite there is none: a second, empty database beside the first is one that works on every system and ends with its process.
	u := url.URL{Scheme: "file", Path: s.path + "-migrating", RawQuery: "_pragma=busy_timeout(200)&_txlock=exclusive"}
	gate, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	defer gate.Close()
	for {
		tx, err := gate.BeginTx(ctx, nil)
		if err == nil {
			defer tx.Rollback()
			break
		}
		if !retriable(err) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	_, err = s.migrate.Up(ctx)
	return err
}

func connect(address string) (*Store, error) {
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return connectPostgres(address)
	}
	return connectSQLite(strings.TrimPrefix(address, "sqlite:"))
}

// maxConns is how many connections to PostgreSQL one process has at most, unless the address says pool_max_conns.
const maxConns = 24

func connectPostgres(address string) (*Store, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of the PostgreSQL database cannot be read") // the cause may hold its password
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = maxConns
	}
	conns, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("connections to PostgreSQL: %w", err)
	}
	pool := stdlib.OpenDBFromPool(conns)
	// Processes that start together migrate one after the other.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		conns.Close()
		return nil, fmt.Errorf("lock of migrations: %w", err)
	}
	s, err := newStore(pool, pool, sql.LevelSerializable, goose.DialectPostgres, "migrations/postgres", goose.WithSessionLocker(locker))
	if err != nil {
		conns.Close()
		return nil, err
	}
	s.pool = conns
	return s, nil
}

func connectSQLite(path string) (*Store, error) {
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, errors.New("the store needs the path of a file")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("path of the store: %w", err)
	}
	open := func(extra string) (*sql.DB, error) {
		u := url.URL{Scheme: "file", Path: abs, RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" + extra}
		return sql.Open("sqlite", u.String())
	}
	write, err := open("&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := open("&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	s, err := newStore(write, read, sql.LevelDefault, goose.DialectSQLite3, "migrations/sqlite")
	if err == nil {
		s.path = abs
	}
	return s, err
}

func newStore(write, read *sql.DB, isolation sql.IsolationLevel, dialect goose.Dialect, dir string, opts ...goose.ProviderOption) (*Store, error) {
	s := &Store{write: write, read: read, query: db.New(read), isolation: isolation}
	files, err := fs.Sub(migrations, dir)
	if err == nil {
		s.migrate, err = goose.NewProvider(dialect, write, files, opts...)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the migrations: %w", err), s.Close())
	}
	return s, nil
}

// Close waits for what is running and closes the database.
func (s *Store) Close() error {
	if s.pool != nil {
		err := s.write.Close()
		s.pool.Close()
		return err
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// Tx is one transaction. It must not be used after the function that it was given to has returned.
type Tx struct {
	query *db.Queries
	conn  *sql.Conn
	raw   *sql.Tx
}

// attempts is how often Update runs a transaction that others keep out of the way.
const attempts = 10

// Update runs change in one transaction: all that it did becomes durable, or nothing. It runs it again when another
// transaction was in the way, so change must have no effects but those on the store.
func (s *Store) Update(ctx context.Context, change func(*Tx) error) error {
	var err error
	for i := range attempts {
		if err = s.once(ctx, change); err == nil || !retriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(time.Millisecond<<i + rand.N(time.Millisecond<<i)): // not all at the same time again
		}
	}
	return fmt.Errorf("%w, %d times: %w", ErrBusy, attempts, err)
}

func (s *Store) once(ctx context.Context, change func(*Tx) error) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Close()
	raw, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: s.isolation})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer raw.Rollback() // nothing after a commit
	if err := change(&Tx{db.New(raw), conn, raw}); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// retriable says whether a transaction failed only because of another one, and has left nothing.
func retriable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" // serialisation failure, deadlock
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	return false
}

func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// millis is how times are kept: 0 when unknown.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the time that millis kept.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// list translates rows.
func list[Row, T any](rows []Row, one func(Row) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = one(r)
	}
	return out
}
