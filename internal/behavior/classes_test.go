package behavior

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/donapi/donapi/knowledge"
)

func TestPathClass(t *testing.T) {
	b := load(t)
	for path, want := range map[string]string{
		"/etc/passwd":                       "SYS_INFO",
		"/private/etc/passwd":               "SYS_INFO",
		"../../../../../etc/passwd":         "SYS_INFO",
		"file:///etc/passwd":                "SYS_INFO",
		"../etc/passwd":                     "",
		"/srv/etc/passwd":                   "",
		"/etc/lsb-release":                  "SYS_INFO",
		"/home/x/.bashrc":                   "SYS_INFO SHELL_RC",
		"~/.bash_history":                   "SYS_INFO HISTORY",
		"~/.ssh":                            "SSH_INFO",
		"~/.ssh/id_ed25519":                 "SSH_INFO DOTENV",
		"*/.ssh/id_rsa":                     "SSH_INFO DOTENV",
		"*/*/.ssh/config":                   "SSH_INFO",
		"/root/.ssh/config":                 "SSH_INFO",
		"/etc/ssh/sshd_config":              "SSH_INFO SENS_DIR",
		"/Users/x/.ssh/config":              "SSH_INFO",
		`C:\Users\x\.ssh\config`:            "SSH_INFO",
		`\\?\C:\Users\x\.ssh\config`:        "SSH_INFO",
		"/mnt/c/Users/x/.ssh/config":        "SSH_INFO",
		`%USERPROFILE%\.ssh\config`:         "SSH_INFO",
		"$HOME/.ssh/config":                 "SSH_INFO",
		"${HOME}/.ssh/config":               "SSH_INFO",
		`$env:USERPROFILE\.ssh\config`:      "SSH_INFO",
		"%HOMEDRIVE%%HOMEPATH%/.ssh/config": "SSH_INFO",
		"~/.npmrc":                          "CREDENTIALS DOTENV",
		"<cwd>/.npmrc":                      "DOTENV",
		".npmrc":                            "DOTENV",
		"src/.env":                          "DOTENV",
		".env.production":                   "DOTENV",
		"environment":                       "",
		"~/.aws/credentials":                "CREDENTIALS",
		"~/.AWS/Credentials":                "CREDENTIALS",
		"~/.config/gcloud/application_default_credentials.json":                                        "CREDENTIALS",
		"%APPDATA%/gcloud/credentials.db":                                                              "CREDENTIALS",
		"/etc/cron.d/job":                                                                              "CRON_PLAN SENS_DIR PERSISTENCE",
		"/var/spool/cron/crontabs/root":                                                                "CRON_PLAN SENS_DIR PERSISTENCE",
		`%LOCALAPPDATA%\Google\Chrome\User Data\Default\Login Data`:                                    "BROWSER_DATA",
		"~/Library/Application Support/Google/Chrome/Default/Cookies":                                  "BROWSER_DATA",
		"~/.mozilla/firefox/x.default/key4.db":                                                         "BROWSER_DATA",
		"~/.config/google-chrome/Default/Local Extension Settings/nkbihfbeogaeaoehlefnkodbefgpgknn":    "BROWSER_DATA WALLET",
		"~/AppData/Roaming/Exodus/exodus.wallet/seed.seco":                                             "WALLET",
		"~/.config/solana/id.json":                                                                     "WALLET",
		`%APPDATA%\discord\Local Storage\leveldb`:                                                      "BROWSER_DATA CHAT_DATA",
		"~/AppData/Local/Discord/app-1.0/modules/discord_desktop_core-1/discord_desktop_core/index.js": "CHAT_DATA APP_ARCHIVE",
		"~/.claude/settings.json":                                                                      "AI_DATA CONTROL_SURFACE",
		"~/.codex/auth.json":                                                                           "AI_DATA",
		"CLAUDE.md":                                                                                    "CONTROL_SURFACE",
		"x/.cursor/rules/a/b.mdc":                                                                      "CONTROL_SURFACE",
		".git/hooks/pre-commit":                                                                        "CONTROL_SURFACE",
		".github/workflows/ci.yml":                                                                     "CONTROL_SURFACE",
		"/proc/1234/mem":                                                                               "PROCESS_MEMORY",
		"/proc/*/maps":                                                                                 "PROCESS_MEMORY",
		"/proc/self/environ":                                                                           "PROCESS_MEMORY",
		"~/.config/systemd/user/x.service":                                                             "PERSISTENCE",
		"~/Library/LaunchAgents/x.plist":                                                               "PERSISTENCE",
		`%APPDATA%\Microsoft\Windows\Start Menu\Programs\Startup\x.bat`:                                "PERSISTENCE",
		"C:/ProgramData/Microsoft/Windows/Start Menu/Programs/Startup/x.lnk":                           "PERSISTENCE",
		"/opt/x/resources/app.asar":                                                                    "APP_ARCHIVE",
		"D:/backup/Users/x/AppData/Roaming/discord/x":                                                  "CHAT_DATA",
		"/tmp/x":                               "TEMP",
		"<tmp>/x":                              "TEMP",
		"%TEMP%/x":                             "TEMP",
		"/.dockerenv":                          "SANDBOX_SIGN",
		"package.json":                         "MANIFEST",
		"/srv/node_modules/other/package.json": "MANIFEST NODE_MODULES",
		"/usr/bin/node":                        "SENS_DIR SYSTEM_PROGRAM",
		"":                                     "",
		"*":                                    "",
		"/":                                    "",
		"~":                                    "",
		"index.js":                             "",
		"/home/x/project/src/index.js":         "",
		strings.Repeat("a/", 5000):             "",
	} {
		if got := strings.Join(b.PathClass(path), " "); got != want {
			t.Errorf("PathClass(%q) is %q, want %q", path, got, want)
		}
	}
}

func TestHostClass(t *testing.T) {
	b := load(t)
	for host, want := range map[string]string{
		"registry.npmjs.org":           "registry",
		"REGISTRY.npmjs.org.":          "registry",
		"https://registry.npmjs.org/x": "registry",
		"localhost":                    "loopback",
		"localhost:3000":               "loopback",
		"127.0.0.1":                    "loopback",
		"http://127.9.9.9:80/":         "loopback",
		"::1":                          "loopback",
		"[::1]:8080":                   "loopback",
		"0.0.0.0":                      "loopback",
		"10.1.2.3":                     "private",
		"172.20.0.1":                   "private",
		"172.32.0.1":                   "ip",
		"192.168.1.1":                  "private",
		"100.64.0.1":                   "private",
		"fd00::1":                      "private",
		"::ffff:10.0.0.1":              "private",
		"build-server":                 "private",
		"db.corp":                      "private",
		"169.254.169.254":              "metadata",
		"http://169.254.169.254/latest/meta-data/":  "metadata",
		"http://[fd00:ec2::254]/latest/":            "metadata",
		"metadata.google.internal":                  "metadata",
		"203.0.113.7":                               "ip",
		"http://203.0.113.7:1337/x":                 "ip",
		"2130706433":                                "ip",
		"0xcb007107":                                "ip",
		"2001:db8::1":                               "ip",
		"123456789012345678":                        "",
		"github.com":                                "forge",
		"api.github.com":                            "forge",
		"raw.githubusercontent.com":                 "raw",
		"gist.github.com":                           "raw",
		"https://bitbucket.org/downloads/x":         "raw",
		"https://bitbucket.org/x":                   "forge",
		"cdn.jsdelivr.net":                          "cdn",
		"https://user:pw@discord.com/api/webhooks/": "chat",
		"cdn.discordapp.com":                        "filedrop",
		"api.telegram.org":                          "chat",
		"x.oast.fun":                                "catcher",
		"abc.ngrok-free.app":                        "catcher",
		"pastebin.com":                              "paste",
		"docs.google.com":                           "paste",
		"www.google.com":                            "vendor",
		"transfer.sh":                               "filedrop",
		"api.ipify.org":                             "ipecho",
		"bit.ly":                                    "shortener",
		"x.duckdns.org":                             "dyndns",
		"mainnet.infura.io":                         "rpc",
		"o1.ingest.sentry.io":                       "telemetry",
		"pool.supportxmr.com:3333":                  "pool",
		"x.onion":                                   "hidden",
		"x.workers.dev":                             "hosting",
		"notgithub.com":                             "",
		"github.com.evil.example":                   "",
		"collect.example":                           "",
		"collect.invalid":                           "",
		"http//collect.invalid/":                    "",
		"\u2026.collect.example":                    "",
		"\u2026":                                    "",
		"*":                                         "",
		"":                                          "",
	} {
		if got := b.HostClass(host); got != want {
			t.Errorf("HostClass(%q) is %q, want %q", host, got, want)
		}
	}
}

func TestEnvClass(t *testing.T) {
	b := load(t)
	for name, want := range map[string]string{
		"NPM_TOKEN":                      "secret",
		"GITHUB_TOKEN":                   "secret",
		"npm_config__authToken":          "secret",
		"AWS_SECRET_ACCESS_KEY":          "secret",
		"AWS_REGION":                     "harmless",
		"AWS_ANYTHING":                   "secret",
		"DB_PASSWORD":                    "secret",
		"OPENAI_API_KEY":                 "secret",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "oidc",
		"GITHUB_REPOSITORY":              "ci",
		"CI":                             "ci",
		"HOME":                           "identity",
		"Username":                       "identity",
		"npm_lifecycle_event":            "lifecycle",
		"npm_config_registry":            "lifecycle",
		"https_proxy":                    "proxy",
		"NODE_ENV":                       "harmless",
		"ELECTRON_MIRROR":                "harmless",
		"TERM_PROGRAM":                   "tool",
		"MY_SETTING":                     "",
		"":                               "",
	} {
		if got := b.EnvClass(name); got != want {
			t.Errorf("EnvClass(%q) is %q, want %q", name, got, want)
		}
	}
}

// The line reader and a YAML parser read the class files alike, so that they stay YAML to everyone else.
func TestClassFilesAreYAML(t *testing.T) {
	for _, file := range []string{"paths.yaml", "hosts.yaml", "env.yaml"} {
		classes, err := readClasses(knowledge.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, c := range classes {
			for _, it := range c.items {
				got[c.name] = append(got[c.name], it.text)
			}
		}
		data, err := fs.ReadFile(knowledge.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string][]string
		if err := yaml.Unmarshal(data, &want); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d classes, by YAML %d", file, len(got), len(want))
		}
		for name, items := range want {
			if !slices.Equal(got[name], items) {
				t.Errorf("%s: %s is %q, by YAML %q", file, name, got[name], items)
			}
		}
	}
}

// No class lists an entry twice: the second would look like a correction and change nothing.
func TestClassesHoldNoDuplicates(t *testing.T) {
	for _, file := range []string{"paths.yaml", "hosts.yaml", "env.yaml"} {
		classes, err := readClasses(knowledge.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range classes {
			seen := map[string]int{}
			for _, it := range c.items {
				k := strings.ToLower(it.text)
				if seen[k] != 0 {
					t.Errorf("%s:%d: %s is in %s since line %d", file, it.line, it.text, c.name, seen[k])
				}
				seen[k] = it.line
			}
		}
	}
}

// The paper's argument lists (USENIX Security 2024, as its authors published the base) are all there.
func TestPublishedPathLists(t *testing.T) {
	b := load(t)
	for class, paths := range map[string][]string{
		"SYS_INFO": {"/etc/group", "/etc/shadow", "/etc/passwd", "/etc/issue", "/etc/os-release", "/etc/lsb-release", "/etc/redhat-release",
			"/etc/services", "/proc/version", "/etc/profile", "/etc/bashrc", "~/.bash_profile", "~/.profile", "~/.bashrc", "~/.zshrc",
			"~/.bash_logout", "/etc/network/interfaces", "/etc/sysconfig/network", "/etc/resolv.conf", "/etc/networks", "~/.bash_history",
			"~/.nano_history", "~/.atftp_history", "~/.mysql_history", "~/.php_history", "/etc/fstab"},
		"SSH_INFO": {"~/.ssh/authorized_keys", "~/.ssh/identity.pub", "~/.ssh/identity", "~/.ssh/id_rsa.pub", "~/.ssh/id_rsa", "~/.ssh/id_dsa.pub",
			"~/.ssh/id_dsa", "/etc/ssh/ssh_config", "/etc/ssh/sshd_config", "/etc/ssh/ssh_host_dsa_key.pub", "/etc/ssh/ssh_host_dsa_key",
			"/etc/ssh/ssh_host_rsa_key.pub", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_key.pub", "/etc/ssh/ssh_host_key"},
		"SERV_INFO": {"/etc/syslog.conf", "/etc/chttp.conf", "/etc/lighttpd.conf", "/etc/cups/cupsd.conf", "/etc/inetd.conf",
			"/etc/apache2/apache2.conf", "/etc/my.conf", "/etc/httpd/conf/httpd.conf", "/opt/lampp/etc/httpd.conf"},
		"CRON_PLAN": {"/etc/cron.daily", "/etc/at.allow", "/etc/at.deny", "/etc/cron.allow", "/etc/cron.deny", "/etc/crontab", "/etc/anacrontab",
			"/var/spool/cron/crontabs/root"},
		"SENS_DIR": {"/sbin/init", "/usr/bin/sudo", "/etc/ssh/", "/etc/cron.d/", "/var/cache/apt/", "/var/cache/yum/", "/var/spool/cron",
			"/var/mail/", "/var/spool/mail", "/var/log", "/var/spool", "/var/lib/", "/var/www/"},
	} {
		for _, p := range paths {
			if !slices.Contains(b.PathClass(p), class) {
				t.Errorf("%s is not in %s", p, class)
			}
		}
	}
}

func FuzzReadClasses(f *testing.F) {
	f.Add("a:\n  - x\n  - \"*.y\" # z\nb: [c, 'd']\n")
	f.Fuzz(func(t *testing.T, s string) {
		fsys := fstest.MapFS{"c.yaml": &fstest.MapFile{Data: []byte(s)}}
		classes, err := readClasses(fsys, "c.yaml")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "c.yaml:") {
				t.Errorf("error without a line: %v", err)
			}
			return
		}
		for _, c := range classes {
			if c.name == "" {
				t.Error("class without a name")
			}
		}
	})
}

func FuzzPathClass(f *testing.F) {
	for _, p := range []string{"~/.ssh/id_rsa", `C:\Users\x\..\y`, "%HOMEDRIVE%%HOMEPATH%/x", "../../../..", "$", "%", "${", "*/*/*", "//?/"} {
		f.Add(p)
	}
	b := load(f)
	f.Fuzz(func(t *testing.T, p string) {
		b.PathClass(p)
		b.HostClass(p)
		b.EnvClass(p)
	})
}

func BenchmarkPathClass(b *testing.B) {
	base := load(b)
	for b.Loop() {
		base.PathClass("/home/dev/project/node_modules/some-package/lib/internal/index.js")
	}
}

func ExampleBase_PathClass() {
	b, err := Load(knowledge.FS())
	if err != nil {
		panic(err)
	}
	fmt.Println(b.PathClass(`C:\Users\someone\.npmrc`))
	// Output: [CREDENTIALS DOTENV]
}
