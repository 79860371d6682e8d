//go:build linux && (amd64 || arm64)

package syscalls

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Files are what remains of the file system for a process under Landlock. Folders stand for all that is below them, and each must exist.
type Files struct {
	Read  []string // read, list, execute
	Write []string // all that, and write, make, remove, rename, and send commands to devices; no device can be made
	// Abstract leaves Unix sockets with abstract names, and signals, as they are. Otherwise they reach only processes that are restricted
	// by the same call, where the kernel can see to that.
	Abstract bool
}

// Landlock says what was put in force.
type Landlock struct {
	ABI int // of the kernel, 0 when it has none
	// Open are the things that a kernel of this ABI does not see to, in a few words each.
	Open []string
}

// ErrNoLandlock says that the kernel has no Landlock, or has it turned off.
var ErrNoLandlock = errors.New("the kernel has no Landlock, or it is turned off")

// LandlockABI returns the version of Landlock that the kernel has, 0 for none.
func LandlockABI() int {
	v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(v)
}

const (
	readRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	deviceMade = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// rights are all rights on files of an ABI, with what is missing in it. The network is left alone: where a box may connect to is not
// decided by port.
func rights(abi int) (fs, scoped uint64, open []string) {
	fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	for _, r := range []struct {
		abi   int
		right uint64
		open  string
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER, ""}, // before, files could not change their folder at all
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, "truncating files"},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, "commands to devices"},
	} {
		if abi >= r.abi {
			fs |= r.right
		} else if r.open != "" {
			open = append(open, r.open)
		}
	}
	if abi >= 6 {
		scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	} else {
		open = append(open, "abstract Unix sockets", "signals")
	}
	return fs, scoped, open
}

// RestrictFiles leaves the calling thread, and all that it starts, no more of the file system than f says, for good. It sets
// no_new_privs, without which the kernel refuses. Kernels without Landlock give ErrNoLandlock; older ones do less, and the result says
// what. No Landlock sees to the mode, the owner, the times and the extended attributes of files, nor hides that a file is there.
func RestrictFiles(f Files) (Landlock, error) {
	abi := LandlockABI()
	if abi == 0 {
		return Landlock{}, ErrNoLandlock
	}
	return restrict(f, abi)
}

func restrict(f Files, abi int) (Landlock, error) {
	fs, scoped, open := rights(abi)
	if f.Abstract {
		scoped = 0
	}
	// Kernels take a struct that is longer than theirs as long as what they do not know is zero.
	attr := unix.LandlockRulesetAttr{Handled_access_fs: fs, Scoped: scoped}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return Landlock{}, fmt.Errorf("landlock: %w", e)
	}
	defer unix.Close(int(fd))
	for _, p := range f.Read {
		if err := allow(int(fd), p, fs&readRights); err != nil {
			return Landlock{}, err
		}
	}
	for _, p := range f.Write {
		if err := allow(int(fd), p, fs&^deviceMade); err != nil {
			return Landlock{}, err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return Landlock{}, fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); e != 0 {
		return Landlock{}, fmt.Errorf("landlock: %w", e)
	}
	return Landlock{ABI: abi, Open: open}, nil
}

// allow adds a rule for a file, or a folder and all below it.
func allow(ruleset int, name string, fs uint64) error {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("landlock: %s: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("landlock: %s: %w", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		fs &= fileRights
	}
	// struct landlock_path_beneath_attr is packed: 8 bytes, then 4.
	attr := unix.LandlockPathBeneathAttr{Allowed_access: fs, Parent_fd: int32(fd)}
	if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0); e != 0 {
		return fmt.Errorf("landlock: %s: %w", name, e)
	}
	return nil
}
