//go:build linux && (amd64 || arm64)

package strong

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/internet"
)

// builder puts the file tree of a box together, inside of gVisor. What is to be seen in it is taken hold of first; then an empty root
// takes the place of the container's, so that no path of a file or mount can lead anywhere else. A process whose root is not that of its
// container can make no user namespace in gVisor.
type builder struct {
	plan    *innerPlan
	system  []source
	mounts  []source
	channel source
	held    *os.File // the file system of the writable folders
	closed  closed
	hidden  []string // where overlays were made, until the mounts are in their places
	covers  int
}

// source is something to be mounted: an open descriptor, and whether it is a folder.
type source struct {
	fd  int
	dir bool
	at  string // of what every box sees
}

func open(name string) (source, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return source{}, fmt.Errorf("%s: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return source{}, err
	}
	return source{fd: fd, dir: st.Mode&unix.S_IFMT == unix.S_IFDIR}, nil
}

// Where the outer process has put things, as seen in gVisor.
const (
	innerSystem  = "/system"
	innerMounts  = "/mounts"
	innerChannel = "/channel"
)

// enter makes the empty root and moves into it.
func (b *builder) enter() error {
	entries, err := os.ReadDir(innerSystem)
	if err != nil {
		return err
	}
	links := map[string]string{}
	var names []string
	for _, e := range entries {
		switch {
		case e.Name() == "etc":
			below, err := os.ReadDir(innerSystem + "/etc")
			if err != nil {
				return err
			}
			for _, f := range below {
				names = append(names, "/etc/"+f.Name())
			}
		case e.Type() == os.ModeSymlink:
			to, err := os.Readlink(innerSystem + "/" + e.Name())
			if err != nil {
				return err
			}
			links["/"+e.Name()] = to
		default:
			names = append(names, "/"+e.Name())
		}
	}
	for _, name := range names {
		s, err := open(innerSystem + name)
		if err != nil {
			return err
		}
		s.at = name
		b.system = append(b.system, s)
	}
	for i := range b.plan.Mounts {
		s, err := open(innerMounts + "/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		b.mounts = append(b.mounts, s)
	}
	if b.closed, err = readClosed(); err != nil {
		return fmt.Errorf("list of closed files: %w", err)
	}
	if b.plan.Channel != "" {
		if b.channel, err = open(innerChannel); err != nil {
			return err
		}
	}
	const root = "/tmp" // the only folder of the container that can be written
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("tmpfs for the root: %w", err)
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := os.Mkdir("/proc", 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for f, to := range links {
		if err := os.Symlink(to, f); err != nil {
			return err
		}
	}
	return nil
}

// fill puts everything into the root but what the spec brings.
func (b *builder) fill() error {
	for _, s := range b.system {
		if err := b.bind(s, s.at); err != nil {
			return fmt.Errorf("mount %s: %w", s.at, err)
		}
	}
	for _, d := range []struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}} {
		if err := os.MkdirAll("/dev", 0o755); err != nil {
			return err
		}
		if err := unix.Mknod("/dev/"+d.name, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("device %s: %w", d.name, err)
		}
	}
	for link, to := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2", "/etc/mtab": "/proc/self/mounts", "/etc/os-release": "../usr/lib/os-release", "/var/tmp": "/tmp"} {
		if err := b.write(sandbox.File{Path: link, Link: to}); err != nil {
			return err
		}
	}
	if err := b.etc(); err != nil {
		return err
	}
	for _, f := range []string{"/run", "/opt", "/mnt", "/srv"} {
		if err := os.MkdirAll(f, 0o755); err != nil {
			return err
		}
	}
	return b.writable()
}

// etc makes up the files that programs read to know where they are.
func (b *builder) etc() error {
	p := b.plan
	id := make([]byte, 16)
	rand.Read(id)
	name, n := p.User, strconv.Itoa(uid)
	nameserver := "127.0.0.1"
	if p.Network {
		nameserver = internet.Gateway4
	}
	for f, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" +
			name + ":x:" + n + ":" + n + ":" + name + ",,,:" + p.Home + ":/bin/bash\n",
		"group":           "root:x:0:\ndaemon:x:1:\nsudo:x:27:" + name + "\nnogroup:x:65534:\n" + name + ":x:" + n + ":\n",
		"hosts":           "127.0.0.1\tlocalhost\n127.0.1.1\t" + p.Hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n",
		"hostname":        p.Hostname + "\n",
		"host.conf":       "multi on\n",
		"nsswitch.conf":   "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		"resolv.conf":     "nameserver " + nameserver + "\noptions timeout:2 attempts:1\n",
		"machine-id":      hex.EncodeToString(id) + "\n",
		"shells":          "/bin/sh\n/bin/bash\n",
		"ssl/openssl.cnf": "# the defaults of the library\n",
		certificate[5:]:   string(p.Trust),
	} {
		if err := b.write(sandbox.File{Path: "/etc/" + f, Data: []byte(text)}); err != nil {
			return err
		}
	}
	// Where other families of systems look for it.
	for _, f := range []string{"/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"} {
		if err := b.write(sandbox.File{Path: f, Link: certificate}); err != nil {
			return err
		}
	}
	return nil
}

// writable makes the writable folders: parts of one file system, so that they share its size.
func (b *builder) writable() error {
	const at = "/.writable"
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=755,size=%d", b.plan.Limits.Disk)); err != nil {
		return fmt.Errorf("tmpfs for the writable folders: %w", err)
	}
	var err error
	if b.held, err = os.Open(at); err != nil {
		return err
	}
	for i, f := range b.plan.writable() {
		part := at + "/" + strconv.Itoa(i)
		mode := os.FileMode(0o755)
		if f == "/tmp" || f == "/dev/shm" {
			mode = 0o777 | os.ModeSticky
		}
		if err := errors.Join(os.Mkdir(part, 0o755), os.Chmod(part, mode), os.Chown(part, uid, uid)); err != nil {
			return err
		}
		s, err := open(part)
		if err != nil {
			return err
		}
		if err := b.bind(s, f); err != nil {
			return fmt.Errorf("writable folder %s: %w", f, err)
		}
	}
	// Work and Home may lie in one another.
	for _, f := range []string{b.plan.Work, b.plan.Home} {
		if err := b.dir(f); err != nil {
			return err
		}
	}
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", at, err)
	}
	return os.Remove(at)
}

// bind mounts a source at a place, which is made when it is missing.
func (b *builder) bind(s source, at string) error {
	defer unix.Close(s.fd)
	if _, err := os.Stat(at); err != nil {
		if s.dir {
			err = b.dir(at)
		} else {
			err = b.write(sandbox.File{Path: at})
		}
		if err != nil {
			return err
		}
	}
	return unix.Mount("/proc/self/fd/"+strconv.Itoa(s.fd), at, "", unix.MS_BIND|unix.MS_REC, "")
}

// dir makes a folder, and what is missing of those above it, those in writable folders as its user's own.
func (b *builder) dir(p string) error {
	if st, err := os.Stat(p); err == nil {
		if !st.IsDir() {
			return &os.PathError{Op: "mkdir", Path: p, Err: unix.ENOTDIR}
		}
		return nil
	}
	if err := b.dir(path.Dir(p)); err != nil {
		return err
	}
	if err := os.Mkdir(p, 0o755); err != nil {
		return err
	}
	return b.own(p)
}

// own gives what lies in a writable folder to the user of the box.
func (b *builder) own(p string) error {
	for _, w := range b.plan.writable() {
		if strings.HasPrefix(p, w+"/") {
			return os.Lchown(p, uid, uid)
		}
	}
	return nil
}

// write writes a file, over one that is there. Of a read-only mount only files that exist can be replaced: by a mount over them.
func (b *builder) write(f sandbox.File) error {
	if err := b.dir(path.Dir(f.Path)); err != nil {
		return err
	}
	if f.Link != "" {
		err := os.Symlink(f.Link, f.Path)
		if errors.Is(err, unix.EEXIST) {
			if err = os.Remove(f.Path); err == nil {
				err = os.Symlink(f.Link, f.Path)
			}
		}
		if err == nil {
			err = b.own(f.Path)
		}
		return err
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC | unix.O_NOFOLLOW
	w, err := os.OpenFile(f.Path, flags, 0o600)
	if errors.Is(err, unix.ELOOP) {
		if err = os.Remove(f.Path); err == nil {
			w, err = os.OpenFile(f.Path, flags, 0o600)
		}
	}
	if errors.Is(err, unix.EROFS) {
		return b.cover(f)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(f.Data)
	return errors.Join(err, b.own(f.Path), unix.Fchmod(int(w.Fd()), f.Perm()), w.Close())
}

// cover mounts a file over one of a read-only mount.
func (b *builder) cover(f sandbox.File) error {
	if _, err := os.Stat(f.Path); err != nil {
		return fmt.Errorf("%s lies in a read-only mount, where only a file that exists can be replaced: %w", f.Path, err)
	}
	b.covers++
	hidden := "/.cover" + strconv.Itoa(b.covers)
	if err := b.write(sandbox.File{Path: hidden, Data: f.Data, Mode: f.Mode}); err != nil {
		return err
	}
	s, err := open(hidden)
	if err != nil {
		return err
	}
	if err := b.bind(s, f.Path); err != nil {
		return err
	}
	if err := b.protect(f.Path); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return os.Remove(hidden)
}

// show puts the mount of a number at its place.
func (b *builder) show(i int, at string) error {
	s := b.mounts[i]
	if list := b.closed[i]; len(list) > 0 {
		opened, err := b.open(s, list)
		if err != nil {
			return err
		}
		unix.Close(s.fd)
		s = opened
	}
	err := b.bind(s, at)
	if err == nil && !s.dir && len(b.closed[i]) > 0 { // a copy
		err = b.protect(at)
	}
	return err
}

// protect makes a mount read-only.
func (b *builder) protect(at string) error {
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// close makes the root read-only.
func (b *builder) close() error {
	for _, dir := range b.hidden {
		if err := errors.Join(unix.Unmount(dir+"/merged", unix.MNT_DETACH), unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir)); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}
