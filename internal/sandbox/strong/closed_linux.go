//go:build linux && (amd64 || arm64)

package strong

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// What the Spec shows may be closed to everybody but its owner, us: folders made by os.MkdirTemp are. In a box it belongs to root, so
// its user could not read it. The outer process lists what is closed, and the inner one lays an overlay over the folder in which the
// list, and nothing else, is copied and opened. The host's files stay as they are.

// closed lists, for each mount by its number, the paths below it that others may not read; "." is the mount itself.
type closed map[int][]string

const (
	closedFile = "/closed"
	maxWalked  = 200_000 // files of all mounts that are looked at; what comes later stays closed
)

// opened is a mode in which others may do what the owner may, apart from writing.
func opened(m uint32) uint32 { return m | m>>6&5 }

// findClosed looks for what is closed in the mounts.
func findClosed(n int) closed {
	out := closed{}
	left := maxWalked
	for i := range n {
		root := boxMounts + "/" + strconv.Itoa(i)
		filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.Type()&(fs.ModeSymlink|fs.ModeSocket|fs.ModeNamedPipe|fs.ModeDevice) != 0 {
				return nil
			}
			if left--; left < 0 {
				return filepath.SkipAll
			}
			var st unix.Stat_t
			if unix.Lstat(p, &st) != nil || opened(st.Mode) == st.Mode {
				return nil
			}
			if rel, err := filepath.Rel(root, p); err == nil {
				out[i] = append(out[i], rel)
			}
			return nil
		})
	}
	return out
}

// writeClosed leaves the list where the inner process finds it.
func writeClosed(c closed) error {
	f, err := os.OpenFile(boxRoot+closedFile, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(f).Encode(c), f.Close())
}

func readClosed() (closed, error) {
	f, err := os.Open(closedFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var c closed
	return c, gob.NewDecoder(f).Decode(&c)
}

// open returns a source in whose place the closed files of another can be read.
func (b *builder) open(s source, list []string) (source, error) {
	name := "/proc/self/fd/" + strconv.Itoa(s.fd)
	b.covers++
	hidden := "/.opened" + strconv.Itoa(b.covers)
	if !s.dir {
		data, err := os.ReadFile(name)
		if err != nil {
			return source{}, err
		}
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			return source{}, err
		}
		if err := b.write(sandbox.File{Path: hidden, Data: data, Mode: opened(st.Mode) & 0o777}); err != nil {
			return source{}, err
		}
		out, err := open(hidden)
		return out, errors.Join(err, os.Remove(hidden))
	}
	if err := os.Mkdir(hidden, 0o755); err != nil {
		return source{}, err
	}
	// A file system of its own, which can be taken out of sight while the overlay lives on.
	if err := unix.Mount("tmpfs", hidden, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return source{}, fmt.Errorf("tmpfs for an overlay: %w", err)
	}
	upper, work, merged := hidden+"/upper", hidden+"/work", hidden+"/merged"
	for _, dir := range []string{upper, work, merged} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return source{}, err
		}
	}
	if err := unix.Mount("overlay", merged, "overlay", unix.MS_NOSUID|unix.MS_NODEV, "lowerdir="+name+",upperdir="+upper+",workdir="+work); err != nil {
		return source{}, fmt.Errorf("overlay: %w", err)
	}
	for _, rel := range list {
		p := filepath.Join(merged, rel)
		var st unix.Stat_t
		err := unix.Lstat(p, &st)
		if err == nil {
			err = unix.Chmod(p, opened(st.Mode)&0o7777)
		}
		if err != nil {
			return source{}, fmt.Errorf("open %s to the box: %w", rel, err)
		}
	}
	if err := b.protect(merged); err != nil {
		return source{}, fmt.Errorf("overlay: %w", err)
	}
	out, err := open(merged)
	if err != nil {
		return source{}, err
	}
	b.hidden = append(b.hidden, hidden)
	return out, nil
}
