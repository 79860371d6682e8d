//go:build amd64 || arm64

package tier

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox/syscalls"
)

func thisMachine() machine { return look("/", syscalls.LandlockABI()) }

// look reads what a machine's files, below root, say of it.
func look(root string, landlock int) machine {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(root, name))
		return err == nil
	}
	m := machine{
		os:                 runtime.GOOS,
		root:               os.Getuid() == 0,
		landlock:           landlock,
		maxUserNamespaces:  read("proc/sys/user/max_user_namespaces"),
		userNamespaceClone: read("proc/sys/kernel/unprivileged_userns_clone"),
		appArmor:           read("proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		yama:               read("proc/sys/kernel/yama/ptrace_scope"),
	}
	release := read("proc/sys/kernel/osrelease")
	fmt.Sscanf(release, "%d.%d", &m.kernel[0], &m.kernel[1])
	m.system = strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + release)
	switch f, err := os.OpenFile(filepath.Join(root, "dev/net/tun"), os.O_RDWR|unix.O_NONBLOCK, 0); {
	case err == nil:
		f.Close()
	case os.IsNotExist(err):
		m.tun = "is missing"
	default:
		m.tun = "cannot be opened by this user"
	}
	environ := "\x00" + read("proc/1/environ")
	switch {
	case exists(".dockerenv"):
		m.container = "docker"
	case exists("run/.containerenv"):
		m.container = "podman"
	case exists("var/run/secrets/kubernetes.io") || exists("run/secrets/kubernetes.io"):
		m.container = "kubernetes"
	case strings.Contains(environ, "\x00container="):
		_, v, _ := strings.Cut(environ, "\x00container=")
		m.container, _, _ = strings.Cut(v, "\x00")
	}
	return m
}
