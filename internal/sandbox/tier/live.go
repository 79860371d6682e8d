package tier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LiveMarker is the name of a file that says, of everything in its folder and below, that it is live malware.
const LiveMarker = ".donapi-live"

// Live returns the marker in the target or in any folder above it, empty when there is none: above the path as it is written, and above
// where it really lies. The error is non-nil when that cannot be told.
func Live(target string) (marker string, err error) {
	abs, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	paths := []string{abs}
	switch real, err := filepath.EvalSymlinks(abs); {
	case err == nil:
		paths = append(paths, real)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	for _, p := range paths {
		// A tarball is no folder, and its marker lies beside it.
		for {
			m := filepath.Join(p, LiveMarker)
			_, err := os.Lstat(m)
			switch {
			case err == nil:
				return m, nil
			case !errors.Is(err, fs.ErrNotExist) && !notFolder(p):
				return "", fmt.Errorf("look for %s: %w", m, err)
			}
			up := filepath.Dir(p)
			if up == p {
				break
			}
			p = up
		}
	}
	return "", nil
}

func notFolder(p string) bool {
	st, err := os.Stat(p)
	return err == nil && !st.IsDir()
}
