//go:build amd64 || arm64

package tier

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLook(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/sys/kernel/osrelease":                             "5.15.0-91-generic\n",
		"proc/sys/user/max_user_namespaces":                     "0\n",
		"proc/sys/kernel/unprivileged_userns_clone":             "1\n",
		"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
		"proc/sys/kernel/yama/ptrace_scope":                     "2\n",
		"proc/1/environ":                                        "A=b\x00container=lxc\x00C=d\x00",
		"dev/net/tun":                                           "",
	} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := look(root, 3)
	want := machine{os: "linux", container: "lxc", kernel: [2]int{5, 15}, landlock: 3, maxUserNamespaces: "0", userNamespaceClone: "1", appArmor: "1", yama: "2"}
	want.system, want.root = got.system, got.root
	if d := cmp.Diff(want, got, cmp.AllowUnexported(machine{})); d != "" {
		t.Error(d)
	}
	empty := look(t.TempDir(), 0)
	if empty.tun != "is missing" || empty.container != "" || empty.kernel != [2]int{} {
		t.Errorf("%+v", empty)
	}
}
