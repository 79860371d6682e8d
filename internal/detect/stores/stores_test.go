package stores

import (
	"os"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/reconstruct"
)

func found(t *testing.T, src string) int {
	t.Helper()
	base, err := behavior.Load(os.DirFS("../../../knowledge"))
	if err != nil {
		t.Fatal(err)
	}
	a := artifact.New([]artifact.File{{Path: "index.js", Data: []byte(src)}, {Path: "package.json", Data: []byte(`{"name":"a"}`)}}, nil, "")
	s := &detect.Subject{Artifact: a, Program: reconstruct.Build(a, reconstruct.Options{}), PathClass: base.PathClass}
	return len(detect.Run([]*detect.Detector{Detector}, s, func(string) {}))
}

func TestMany(t *testing.T) {
	example := "const stores = ['Roaming/discord/Local Storage/leveldb', 'Local/Google/Chrome/User Data/Default', `${local}\\\\BraveSoftware\\\\Brave-Browser\\\\User Data\\\\Default`, 'Roaming/Opera Software/Opera Stable', 'Local/Yandex/YandexBrowser/User Data/Default'];"
	if found(t, example) != 1 {
		t.Error("a list of five applications' stores was not found")
	}
	for name, twin := range map[string]string{
		"the channels of one browser":  "const dirs = ['~/.config/google-chrome/Default', '~/.config/google-chrome-beta/Default', 'Local/Google/Chrome/User Data/Default', 'Local/Google/Chrome Beta/User Data/Default'];",
		"names without places":         "const browsers = ['chrome', 'firefox', 'opera', 'brave', 'edge', 'vivaldi'];",
		"where browsers are installed": "const bins = ['/usr/bin/google-chrome', 'C:\\\\Program Files\\\\Mozilla Firefox\\\\firefox.exe', '/Applications/Opera.app/Contents/MacOS/Opera', '/usr/bin/brave'];",
	} {
		if found(t, twin) != 0 {
			t.Errorf("%s: found", name)
		}
	}
}

func TestApplication(t *testing.T) {
	for path, want := range map[string]string{
		`Roaming/discordcanary`:                         "discord",
		`${roaming}\discord\Local Storage\leveldb`:      "discord",
		`Local/Google/Chrome/User Data/Default`:         "google/chrome",
		`Local/Google/Chrome Beta/User Data`:            "google/chrome",
		`/Users/x`:                                      "x",
		`Roaming/Opera Software/Opera GX Stable`:        "opera",
		`Library/Application Support/Mozilla/Firefox/x`: "mozilla/firefox",
		``: "",
	} {
		if got := Application(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	if strings.Contains(Application("C:/Users"), ":") {
		t.Error("a drive is no application")
	}
}
