package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// envPrefix begins the names of environment variables that stand for flags.
const envPrefix = "DONAPI_"

// settle gives values to the flags that the command line does not: from the environment, DONAPI_DATABASE for --database, and then
// from the YAML file that --config or DONAPI_CONFIG names, whose keys are the flags' names. Errors name the key and where it stands.
func settle(cmd *cobra.Command) error {
	flags := cmd.Flags()
	var errs []error
	set := func(f *pflag.Flag, value, where string) {
		if f.Changed {
			return // the command line, and then the environment, win
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, errors.Unwrap(err)))
		}
	}
	own := func(visit func(*pflag.Flag)) {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				visit(f)
			}
		})
	}
	own(func(f *pflag.Flag) {
		if v := os.Getenv(envName(f.Name)); v != "" {
			set(f, v, envName(f.Name))
		}
	})
	path := flags.Lookup("config").Value.String()
	if path != "" {
		values, err := readSettings(path)
		if err != nil {
			return usageError{err}
		}
		for _, kv := range values {
			f := flags.Lookup(kv.key)
			if f == nil || f.Name == "help" || f.Name == "config" {
				errs = append(errs, fmt.Errorf("%s:%d: unknown key %q", path, kv.line, kv.key))
				continue
			}
			set(f, kv.value, fmt.Sprintf("%s:%d: %s", path, kv.line, kv.key))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{err}
	}
	return nil
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setting is one line of a file of settings.
type setting struct {
	key, value string
	line       int
}

func readSettings(path string) ([]setting, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	var doc yaml.Node
	if err := yaml.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--config: %s: %w", path, err)
	}
	if doc.Kind == 0 {
		return nil, nil // nothing but comments
	}
	m := doc.Content[0]
	if m.Kind == yaml.ScalarNode && m.Tag == "!!null" {
		return nil, nil
	}
	if m.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("--config: %s:%d: want lines as key: value", path, m.Line)
	}
	var out []setting
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		switch {
		case v.Kind == yaml.SequenceNode:
			var list []string
			for _, e := range v.Content {
				if e.Kind != yaml.ScalarNode {
					return nil, fmt.Errorf("--config: %s:%d: %s: want plain values", path, e.Line, k.Value)
				}
				list = append(list, e.Value)
			}
			out = append(out, setting{k.Value, strings.Join(list, ","), k.Line})
		case v.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("--config: %s:%d: %s: want one value or a list", path, k.Line, k.Value)
		case v.Tag == "!!null":
			out = append(out, setting{k.Value, "", k.Line})
		default:
			out = append(out, setting{k.Value, v.Value, k.Line})
		}
		if seen[k.Value] {
			return nil, fmt.Errorf("--config: %s:%d: %s stands there twice", path, k.Line, k.Value)
		}
		seen[k.Value] = true
	}
	return out, nil
}
