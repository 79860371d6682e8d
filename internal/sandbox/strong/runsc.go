package strong

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/donapi/donapi/internal/sandbox"
)

// Version is the version of gVisor whose runsc runs a box: the one whose network stack and messages this program is linked with.
// Others are refused, because names of trace points, messages and flags change between versions, and a trace that reports less than it
// should looks like a package that did less.
const Version = "v0.0.0-20260905035102-160fafc42237"

const gvisor = "gvisor.dev/gvisor"

// EnvRunsc is the environment variable that names runsc.
const EnvRunsc = "DONAPI_RUNSC"

// install is how a user gets runsc. It needs nothing but Go.
const install = "CGO_ENABLED=0 go install " + gvisor + "/runsc@" + Version

// Find looks for runsc and returns its absolute path: the one that is named, else that of the variable DONAPI_RUNSC, else the first of
// the right version beside this program, in PATH, in the folders where go install puts programs, and in the user's cache. The error is
// a *sandbox.Unavailable, whose Fix installs it.
func Find(named string) (string, error) {
	if named == "" {
		named = os.Getenv(EnvRunsc)
	}
	var seen []error
	for _, p := range places(named) {
		err := verify(p)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || named != "" {
			seen = append(seen, err)
		}
	}
	return "", &sandbox.Unavailable{Tier: sandbox.Strong, Missing: "runsc of gVisor " + Version, Fix: install, Err: errors.Join(seen...)}
}

// places lists where runsc may be, the best first.
func places(named string) []string {
	if named != "" {
		if !strings.Contains(named, string(filepath.Separator)) {
			if p, err := exec.LookPath(named); err == nil {
				named = p
			}
		}
		p, err := filepath.Abs(named)
		if err != nil {
			p = named
		}
		return []string{p}
	}
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) { // nothing of the folder we happen to be in
			dirs = append(dirs, dir)
		}
	}
	dirs = append(dirs, os.Getenv("GOBIN"))
	for _, dir := range filepath.SplitList(os.Getenv("GOPATH")) {
		dirs = append(dirs, filepath.Join(dir, "bin"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, "go", "bin"))
	}
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "donapi"))
	}
	var out []string
	for _, dir := range dirs {
		if filepath.IsAbs(dir) {
			out = append(out, filepath.Join(dir, "runsc"))
		}
	}
	return out
}

// verify says whether a file is runsc of the right version. What Go writes into a program says so without running it.
func verify(name string) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", name)
	}
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%s does not say its version, as programs built by Go do: %w", name, err)
	}
	if info.Path != gvisor+"/runsc" {
		return fmt.Errorf("%s is the program %q", name, info.Path)
	}
	version := ""
	if info.Main.Path == gvisor && info.Main.Replace == nil {
		version = info.Main.Version
	}
	for _, d := range info.Deps { // built from within another module, as this repository's Makefile does
		if d.Path == gvisor && d.Replace == nil {
			version = d.Version
		}
	}
	if version != Version {
		return fmt.Errorf("%s has version %q", name, version)
	}
	return nil
}
