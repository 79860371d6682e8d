//go:build linux && (amd64 || arm64)

package namespaces

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/internet"
)

// root builds the file tree of a box. It runs as the init, in namespaces of its own. What is shown of the host is taken hold of first,
// as detached mounts; then an empty root takes the host's place, and from there on no path leads out of the box.
type root struct {
	plan   *plan
	system []held
	spec   []held
	covers int
	// settings are put in force last: building the box makes namespaces of mounts.
	settings []tuning
}

// held is a detached mount and the place where it is to be seen.
type held struct {
	fd  int
	box string
}

const (
	readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	device   = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
)

var (
	systemFolders = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
	devices       = []string{"null", "zero", "full", "random", "urandom"}
	// Files of the host's /etc that name nothing of the host and that programs need to find libraries, commands and ports.
	etcShown = []string{"/etc/ld.so.cache", "/etc/alternatives", "/etc/services", "/etc/protocols"}
	// What /proc tells about the machine and its kernel beyond what programs ask for.
	procMasked   = []string{"kcore", "keys", "key-users", "kmsg", "timer_list", "sched_debug", "latency_stats", "kallsyms", "modules", "sysrq-trigger", "scsi", "acpi", "asound"}
	procReadOnly = []string{"sys", "irq", "bus", "fs", "driver", "tty"}
)

// detached takes hold of a file or folder with everything mounted below it.
func detached(name string, attributes uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("open_tree %s: %w", name, err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount_setattr %s: %w", name, err)
	}
	return fd, nil
}

// enter makes the empty root and moves into it.
func (r *root) enter() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	links := map[string]string{}
	shown := []string{"/usr"}
	for _, f := range systemFolders {
		if to, err := os.Readlink("/" + f); err == nil {
			links[f] = to
		} else if _, err := os.Stat("/" + f); err == nil {
			shown = append(shown, "/"+f)
		}
	}
	for _, f := range etcShown {
		if _, err := os.Stat(f); err == nil {
			shown = append(shown, f)
		}
	}
	for _, f := range shown {
		fd, err := detached(f, readOnly)
		if err != nil {
			return err
		}
		r.system = append(r.system, held{fd, f})
	}
	for _, f := range devices {
		fd, err := detached("/dev/"+f, device)
		if err != nil {
			return err
		}
		r.system = append(r.system, held{fd, "/dev/" + f})
	}
	for _, m := range r.plan.Mounts {
		fd, err := detached(m.Host, readOnly)
		if err != nil {
			return err
		}
		r.spec = append(r.spec, held{fd, m.Box})
	}
	// Any folder serves to stand on for the moment; of /usr we hold a copy.
	if err := unix.Mount("tmpfs", "/usr", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1g"); err != nil {
		return fmt.Errorf("tmpfs for the root: %w", err)
	}
	if err := os.Chdir("/usr"); err != nil {
		return err
	}
	// A new /proc may be mounted only while an unobstructed one is in sight.
	if err := os.Mkdir("proc", 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the host's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for f, to := range links {
		if err := os.Symlink(to, "/"+f); err != nil {
			return err
		}
	}
	return nil
}

// fill puts everything into the root but what the spec brings, and returns the folder that holds the writable ones.
func (r *root) fill() (writable int, err error) {
	for _, h := range r.system {
		if err := r.show(h); err != nil {
			return -1, err
		}
	}
	for link, to := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2", "/etc/mtab": "/proc/self/mounts", "/etc/os-release": "../usr/lib/os-release", "/var/tmp": "/tmp"} {
		if err := r.write(sandbox.File{Path: link, Link: to}); err != nil {
			return -1, err
		}
	}
	if err := r.etc(); err != nil {
		return -1, err
	}
	if r.settings, err = settle(); err != nil {
		return -1, err
	}
	if err := r.proc(); err != nil {
		return -1, err
	}
	for _, f := range []string{"/run", "/opt", "/mnt", "/srv"} {
		if err := r.makeDir(f); err != nil {
			return -1, err
		}
	}
	return r.writable()
}

// etc makes up the files that programs read to know where they are.
func (r *root) etc() error {
	p := r.plan
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
		if err := r.write(sandbox.File{Path: "/etc/" + f, Data: []byte(text)}); err != nil {
			return err
		}
	}
	// Where other families of systems look for it.
	for _, f := range []string{"/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"} {
		if err := r.write(sandbox.File{Path: f, Link: certificate}); err != nil {
			return err
		}
	}
	return nil
}

// proc closes what /proc offers beyond the box's own processes.
func (r *root) proc() error {
	for _, f := range procReadOnly {
		p := "/proc/" + f
		if _, err := os.Lstat(p); err != nil {
			continue
		}
		fd, err := detached(p, readOnly|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return err
		}
		if err := attach(fd, p); err != nil {
			return err
		}
	}
	for _, f := range procMasked {
		p := "/proc/" + f
		st, err := os.Lstat(p)
		if err != nil {
			continue
		}
		if st.IsDir() {
			if err := unix.Mount("tmpfs", p, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0,mode=555"); err != nil {
				return fmt.Errorf("cover %s: %w", p, err)
			}
			continue
		}
		fd, err := detached("/dev/null", device)
		if err != nil {
			return err
		}
		if err := attach(fd, p); err != nil {
			return err
		}
	}
	return nil
}

// attach moves a detached mount to where it is to be seen, and closes it.
func attach(fd int, at string) error {
	defer unix.Close(fd)
	to, err := open(at, unix.O_PATH)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	defer unix.Close(to)
	if err := unix.MoveMount(fd, "", to, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount at %s: %w", at, err)
	}
	return nil
}

// open opens a path in the box. Links are followed, but none that leads through a descriptor of a process.
func open(p string, flags uint64) (int, error) {
	return unix.Openat2(unix.AT_FDCWD, p, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS})
}

// writable makes the writable folders: parts of one file system, so that they share its size, which the parent holds a descriptor of.
func (r *root) writable() (int, error) {
	const at = "/.writable"
	if err := os.Mkdir(at, 0o755); err != nil {
		return -1, err
	}
	inodes := 64<<10 + 2*r.plan.Files // each costs the kernel about a kilobyte
	options := fmt.Sprintf("mode=755,size=%d,nr_inodes=%d", r.plan.Limits.Disk, inodes)
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return -1, fmt.Errorf("tmpfs for the writable folders: %w", err)
	}
	held, err := unix.Open(at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for i, f := range r.plan.writable() {
		part := at + "/" + strconv.Itoa(i)
		mode := os.FileMode(0o755)
		if f == "/tmp" || f == "/dev/shm" {
			mode = 0o777 | os.ModeSticky
		}
		if err := os.Mkdir(part, 0o755); err != nil {
			return -1, err
		}
		if err := os.Chmod(part, mode); err != nil {
			return -1, err
		}
		if err := r.own(f, unix.AT_FDCWD, part); err != nil {
			return -1, err
		}
		fd, err := detached(part, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		if err != nil {
			return -1, err
		}
		if err := r.makeDir(f); err != nil {
			return -1, err
		}
		if err := attach(fd, f); err != nil {
			return -1, err
		}
	}
	// Work and Home may lie in one another.
	for _, f := range []string{r.plan.Work, r.plan.Home} {
		if err := r.makeDir(f); err != nil {
			return -1, err
		}
	}
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		return -1, err
	}
	return held, os.Remove(at)
}

// show puts a held mount at its place, which is made when it is missing.
func (r *root) show(h held) error {
	var st unix.Stat_t
	err := unix.Fstat(h.fd, &st)
	if err == nil {
		err = r.readable(h.box, st)
	}
	if err == nil {
		var place int
		if place, err = open(h.box, unix.O_PATH); err == nil {
			unix.Close(place)
		} else if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = r.makeDir(h.box)
		} else {
			err = r.write(sandbox.File{Path: h.box})
		}
	}
	if err != nil {
		unix.Close(h.fd)
		return fmt.Errorf("mount: %w", err)
	}
	return attach(h.fd, h.box)
}

// readable says whether the user of the box may read what is mounted. Where we are root he is somebody else.
func (r *root) readable(box string, st unix.Stat_t) error {
	want := uint32(0o004)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		want = 0o005
	}
	if r.plan.Switch && st.Mode&want != want {
		return fmt.Errorf("what is to be seen at %s has the mode %o and belongs to uid %d: the user of the box cannot read it", box, st.Mode&0o7777, st.Uid)
	}
	return nil
}

// mounts shows what the spec asks for.
func (r *root) mounts() error {
	for _, h := range r.spec {
		if err := r.show(h); err != nil {
			return err
		}
	}
	return nil
}

// own gives what was made at a path to the user of the box, where it is his to change.
func (r *root) own(p string, dir int, name string) error {
	if !r.plan.Switch || !r.plan.inWritable(p) {
		return nil
	}
	return unix.Fchownat(dir, name, uid, uid, unix.AT_SYMLINK_NOFOLLOW)
}

func (r *root) makeDir(p string) error {
	fd, err := r.dir(p)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// dir opens a folder of the box and makes what is missing of it.
func (r *root) dir(p string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY
	fd, err := open(p, flags)
	if err == nil || !errors.Is(err, unix.ENOENT) || p == "/" {
		return fd, wrap(p, err)
	}
	parent, err := r.dir(path.Dir(p))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, path.Base(p), 0o755); err != nil {
		return -1, wrap(p, err)
	}
	if err := r.own(p, parent, path.Base(p)); err != nil {
		return -1, wrap(p, err)
	}
	fd, err = open(p, flags)
	return fd, wrap(p, err)
}

func wrap(p string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p, err)
}

// write writes a file, over one that is there. Of a read-only mount only files that exist can be replaced: by a mount over them.
func (r *root) write(f sandbox.File) error {
	parent, err := r.dir(path.Dir(f.Path))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	name := path.Base(f.Path)
	if f.Link != "" {
		err := unix.Symlinkat(f.Link, parent, name)
		if errors.Is(err, unix.EEXIST) {
			if err = unix.Unlinkat(parent, name, 0); err == nil {
				err = unix.Symlinkat(f.Link, parent, name)
			}
		}
		if err == nil {
			err = r.own(f.Path, parent, name)
		}
		return wrap(f.Path, err)
	}
	fd, err := create(parent, name)
	if errors.Is(err, unix.ELOOP) {
		if err = unix.Unlinkat(parent, name, 0); err == nil {
			fd, err = create(parent, name)
		}
	}
	if errors.Is(err, unix.EROFS) {
		return r.cover(f)
	}
	if err != nil {
		return wrap(f.Path, err)
	}
	w := os.NewFile(uintptr(fd), f.Path)
	_, err = w.Write(f.Data)
	if err == nil {
		err = unix.Fchmod(fd, f.Perm())
	}
	if err == nil {
		err = r.own(f.Path, parent, name)
	}
	return wrap(f.Path, errors.Join(err, w.Close()))
}

func create(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

// cover mounts a file over one of a read-only mount.
func (r *root) cover(f sandbox.File) error {
	if _, err := os.Stat(f.Path); err != nil {
		return fmt.Errorf("%s lies in a read-only mount, where only a file that exists can be replaced: %w", f.Path, err)
	}
	r.covers++
	hidden := "/.cover" + strconv.Itoa(r.covers)
	if err := r.write(sandbox.File{Path: hidden, Data: f.Data, Mode: f.Mode}); err != nil {
		return err
	}
	fd, err := detached(hidden, readOnly)
	if err != nil {
		return err
	}
	if err := attach(fd, f.Path); err != nil {
		return err
	}
	return os.Remove(hidden)
}

// channel makes the FIFO and returns the end that the parent reads. It is a mount of its own, so that it can be neither removed nor given
// other permissions, and nobody in the box may read it. One end stays open for writing, so that the channel ends with the box and not
// with a writer.
func (r *root) channel() (read int, err error) {
	const hidden = "/.channel"
	if err := unix.Mkfifo(hidden, 0o600); err != nil {
		return -1, err
	}
	read, err = unix.Open(hidden, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if _, err := unix.Open(hidden, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil { // stays open as long as the init
		return -1, err
	}
	if err := os.Chmod(hidden, 0o222); err != nil {
		return -1, err
	}
	fd, err := detached(hidden, readOnly)
	if err != nil {
		return -1, err
	}
	if err := r.write(sandbox.File{Path: r.plan.Channel}); err != nil {
		return -1, err
	}
	if err := attach(fd, r.plan.Channel); err != nil {
		return -1, err
	}
	return read, os.Remove(hidden)
}

// close puts the settings in force and makes the root read-only.
func (r *root) close() error {
	for _, t := range r.settings {
		if err := t.set(); err != nil {
			return err
		}
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: readOnly}); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}
