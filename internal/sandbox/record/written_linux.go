package record

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// Folder is a writable folder of a box whose processes are dead.
type Folder struct {
	Path string // in the box
	Dir  *os.File
}

// Limits of what is listed. The tree is an attacker's: names, depth and kinds of files are whatever he could make.
const (
	maxListed  = 20_000  // files in the result
	maxEntries = 200_000 // names looked at
	maxDepth   = 200
)

// Written lists the files in the folders that files did not put there unchanged, and the paths of files that are gone. Links are never
// followed. skip says which paths are not the box's doing. Where there is more than the limits allow, LimitWritten is reached. No process
// of the box may be alive, because a tree that changes cannot be walked safely.
func (r *Run) Written(folders []Folder, files []sandbox.File, skip func(string) bool) (written []sandbox.File, removed []string, err error) {
	w := walk{limits: r.limits, put: map[string]*sandbox.File{}, seen: map[string]bool{}, skip: skip}
	for i := range files {
		w.put[path.Clean(files[i].Path)] = &files[i]
	}
	for _, f := range folders {
		if err := w.folder(int(f.Dir.Fd()), f.Path, 0); err != nil {
			return nil, nil, fmt.Errorf("files written in %s: %w", f.Path, err)
		}
	}
	for p := range w.put {
		if w.seen[p] {
			continue
		}
		// A walk that ended early has not seen everything, and a file may have been put behind a link of its own.
		for _, f := range folders {
			if rel, ok := below(f.Path, p); ok && !exists(int(f.Dir.Fd()), rel) {
				removed = append(removed, p)
				break
			}
		}
	}
	if w.more {
		r.Reach(sandbox.LimitWritten)
	}
	slices.SortFunc(w.written, func(a, b sandbox.File) int { return cmp.Compare(a.Path, b.Path) })
	slices.Sort(removed)
	return w.written, removed, nil
}

// below returns the path of p from folder, which it lies in.
func below(folder, p string) (string, bool) {
	if len(p) > len(folder) && p[:len(folder)] == folder && p[len(folder)] == '/' {
		return p[len(folder)+1:], true
	}
	return "", false
}

func exists(dir int, rel string) bool {
	fd, err := unix.Openat2(dir, rel, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// walk is one listing.
type walk struct {
	limits  sandbox.Limits
	put     map[string]*sandbox.File
	seen    map[string]bool
	skip    func(string) bool
	written []sandbox.File
	kept    int // bytes
	entries int
	more    bool
}

// folder lists what is below an open folder, which stays open.
func (w *walk) folder(dir int, p string, depth int) error {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	names, err := w.names(f)
	if err != nil {
		return err
	}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		at := path.Join(p, name)
		w.seen[at] = true
		if w.skip(at) {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			if depth >= maxDepth {
				w.more = true
				continue
			}
			sub, err := openIn(fd, name, unix.O_DIRECTORY)
			if err != nil {
				return err
			}
			err = w.folder(sub, at, depth+1)
			unix.Close(sub)
			if err != nil {
				return err
			}
		case unix.S_IFLNK:
			buf := make([]byte, 4096)
			n, err := unix.Readlinkat(fd, name, buf)
			if err != nil {
				return err
			}
			if was := w.put[at]; was == nil || was.Link != string(buf[:n]) {
				w.add(sandbox.File{Path: at, Link: string(buf[:n])})
			}
		case unix.S_IFREG:
			if err := w.file(fd, name, at, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// names returns the sorted names in a folder.
func (w *walk) names(f *os.File) ([]string, error) {
	var all []string
	for {
		names, err := f.Readdirnames(1024)
		w.entries += len(names)
		all = append(all, names...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if w.entries > maxEntries {
			w.more = true
			break
		}
	}
	slices.Sort(all)
	return all, nil
}

// openIn opens a file or folder to be read that the box may have closed to everybody, itself included.
func openIn(dir int, name string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, name, flags, 0)
	if errors.Is(err, unix.EACCES) {
		if err := unix.Fchmodat(dir, name, 0o700, 0); err != nil {
			return -1, err
		}
		fd, err = unix.Openat(dir, name, flags, 0)
	}
	return fd, err
}

func (w *walk) file(dir int, name, at string, st unix.Stat_t) error {
	fd, err := openIn(dir, name, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), at)
	defer f.Close()
	mode := st.Mode & 0o7777
	if was := w.put[at]; was != nil && was.Link == "" && st.Size == int64(len(was.Data)) && mode == was.Perm() {
		if same, err := equal(f, was.Data); same || err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	room := min(w.limits.Body, w.limits.Written-w.kept)
	data, err := io.ReadAll(io.LimitReader(f, min(int64(room), st.Size)))
	if err != nil {
		return err
	}
	if room < w.limits.Body && int64(room) < st.Size {
		w.more = true
	}
	w.kept += len(data)
	w.add(sandbox.File{Path: at, Data: data, Mode: mode, Truncated: int64(len(data)) < st.Size, Size: st.Size})
	return nil
}

func equal(f io.Reader, want []byte) (bool, error) {
	buf := make([]byte, 64<<10)
	for len(want) > 0 {
		n, err := f.Read(buf[:min(len(buf), len(want))])
		if !bytes.Equal(buf[:n], want[:n]) {
			return false, nil
		}
		want = want[n:]
		if err != nil {
			return len(want) == 0, nil
		}
	}
	return true, nil
}

func (w *walk) add(f sandbox.File) {
	if len(w.written) >= maxListed {
		w.more = true
		return
	}
	w.written = append(w.written, f)
}
