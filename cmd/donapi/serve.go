package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/worker/service"
	"github.com/donapi/donapi/knowledge"
)

// serving holds the settings of serve and of the commands that look at what it keeps.
type serving struct {
	config, data, database string
	roles                  []string
	id                     string
	npmrc, registry, feed  string
	from                   string
	rate                   float64
	monthly                int64
	poll                   time.Duration
	jobs                   int
	timeout, grace         time.Duration
	backlog                int
	listen                 string
	logFormat, logLevel    string
}

// place adds the settings that say where everything is kept.
func (s *serving) place(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.config, "config", "", "read settings from this YAML `FILE`; its keys are the names of these flags")
	f.StringVar(&s.data, "data", defaultData(), "`FOLDER` of everything that is kept on this machine")
	f.StringVar(&s.database, "database", "", "`ADDRESS` of the database: postgres://..., or the path of an SQLite file; empty for store.db in the folder of data")
}

func defaultData() string {
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "donapi")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "donapi-data"
	}
	return filepath.Join(home, ".local", "share", "donapi")
}

func (a *app) serve() *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "follow the registry and judge every new version",
		Long: `Follows the change feed of a registry, fetches every version that is published from now on, judges it, and keeps what it fetched
and found. Everything runs on this machine and is kept in one folder, unless settings say otherwise.

Each setting is a flag, or a variable of the environment (DONAPI_DATABASE for --database), or a line of the file that --config
names (database: ...). The flag wins over the environment, and the environment over the file. docs/serve.yaml in the sources
is such a file with every setting explained. npm's own configuration says how to reach the registry: its address, credentials, proxies.

With a PostgreSQL database several processes share the work: --roles says what this one does, and --id names it.

SIGTERM or an interrupt ends it: jobs that run are finished for as long as --grace, and then handed back.`,
		Example: `  donapi serve
  donapi serve --data /var/lib/donapi --monthly 1000000
  donapi serve --database postgres://donapi@db.example/donapi --roles work --id worker-7`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := settle(cmd); err != nil {
				return err
			}
			return a.runServe(cmd.Context(), &s)
		},
	}
	s.place(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&s.roles, "roles", []string{"follow", "work"}, "what this process does: follow, work")
	f.StringVar(&s.id, "id", "", "name of this process among those that share the database; empty for the name of the machine")
	f.StringVar(&s.npmrc, "npmrc", "", "read npm's configuration from `FILE` too; it wins over the user's and the global one")
	f.StringVar(&s.registry, "registry", "", "follow the registry at `URL` instead of the one that npm's configuration names")
	f.StringVar(&s.feed, "feed", "", "`URL` of the change feed where it is not the registry's own")
	f.StringVar(&s.from, "from", "now", "where to begin with a feed that was never followed: now, or beginning, which fetches everything there is")
	f.Float64Var(&s.rate, "rate", 1.4, "requests a second to the registry, on average; 0 for no limit")
	f.Int64Var(&s.monthly, "monthly", 4_000_000, "requests a month to one host, by all processes on the database; 0 for no limit")
	f.DurationVar(&s.poll, "poll", 10*time.Second, "pause between looks at the change feed")
	f.IntVar(&s.jobs, "jobs", runtime.GOMAXPROCS(0), "packages analysed at the same time")
	f.DurationVar(&s.timeout, "timeout", 2*time.Minute, "limit for the analysis of one package")
	f.DurationVar(&s.grace, "grace", 30*time.Second, "how long jobs may go on when the process is to end")
	f.IntVar(&s.backlog, "backlog", 1000, "analyses that may wait before backfill pauses")
	f.StringVar(&s.listen, "listen", "127.0.0.1:9464", "`ADDRESS` of /metrics, /healthz and /readyz; empty for none")
	f.StringVar(&s.logFormat, "log-format", "text", "how logs are written to standard error: text, json")
	f.StringVar(&s.logLevel, "log-level", "info", "what is logged: debug, info, warn, error")
	return cmd
}

// check says which setting is wrong.
func (s *serving) check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("--%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if s.data == "" {
		wrong("data", "want a folder")
	}
	if scheme, _, ok := strings.Cut(s.database, "://"); ok && scheme != "postgres" && scheme != "postgresql" {
		wrong("database", "unknown kind %q: want postgres://... or the path of a file", scheme)
	}
	if len(s.roles) == 0 {
		wrong("roles", "want follow, work, or both")
	}
	for _, r := range s.roles {
		if r != "follow" && r != "work" {
			wrong("roles", "unknown role %q: want follow or work", r)
		}
	}
	if s.from != "now" && s.from != "beginning" {
		wrong("from", "unknown place %q: want now or beginning", s.from)
	}
	if s.rate < 0 {
		wrong("rate", "is negative")
	}
	if s.monthly < 0 {
		wrong("monthly", "is negative")
	}
	for key, d := range map[string]time.Duration{"poll": s.poll, "timeout": s.timeout} {
		if d <= 0 {
			wrong(key, "want a time longer than none, as 10s")
		}
	}
	if s.grace < 0 {
		wrong("grace", "is negative")
	}
	if s.jobs < 1 {
		wrong("jobs", "want one or more")
	}
	if s.backlog < 1 {
		wrong("backlog", "want one or more")
	}
	if s.logFormat != "text" && s.logFormat != "json" {
		wrong("log-format", "unknown format %q: want text or json", s.logFormat)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		wrong("log-level", "unknown level %q: want debug, info, warn or error", s.logLevel)
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return usageError{errors.Join(errs...)}
}

func (a *app) logger(s *serving) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(s.logLevel)) // checked before
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, o))
	}
	return slog.New(slog.NewTextHandler(a.err, o))
}

func (a *app) runServe(ctx context.Context, s *serving) error {
	if err := s.check(); err != nil {
		return err
	}
	f := fetching{npmrc: s.npmrc, registry: s.registry}
	client, err := f.client(nil)
	if err != nil {
		return err
	}
	client.Feed = s.feed
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	if s.id == "" {
		if s.id, err = os.Hostname(); err != nil {
			return hintError{fmt.Errorf("--id: the name of the machine is not known: %w", err), "give --id"}
		}
	}
	lim := confine.Limits{Time: s.timeout, Large: service.Shared}
	if s.jobs > 1 {
		lim.Threads = max(1, runtime.GOMAXPROCS(0)/s.jobs)
	}
	pool := confine.NewPool(lim)
	defer pool.Close()
	sv, err := service.Open(ctx, service.Config{
		Data: s.data, Database: s.database, ID: s.id, Follow: slices.Contains(s.roles, "follow"), Work: slices.Contains(s.roles, "work"), Beginning: s.from == "beginning",
		Registry: client, Feed: client.FeedAddress(), Scanner: service.Limited(scan.New(k, &scan.Confined{Pool: pool, Knowledge: k.Digest}), s.jobs), Jobs: s.jobs,
		Rate: s.rate, Monthly: s.monthly, Poll: s.poll, Listen: s.listen, Grace: s.grace, Backlog: s.backlog, Log: a.logger(s),
	})
	if err != nil {
		return err
	}
	defer sv.Close()
	err = sv.Run(ctx)
	a.served = err == nil
	return err
}
