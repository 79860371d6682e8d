package behavior

import (
	"fmt"
	"io/fs"
	"strings"
)

// envIndex finds the class of an environment variable. A name written in full beats a pattern; among patterns the first counts.
type envIndex struct {
	exact map[string]string
	globs []envGlob
	quiet map[string]bool
}

type envGlob struct{ pattern, class string }

// quietClasses is the key of env.yaml that lists the classes which give a call no type of its own.
const quietClasses = "quiet"

func loadEnv(fsys fs.FS) (envIndex, error) {
	x := envIndex{exact: map[string]string{}, quiet: map[string]bool{}}
	classes, err := readClasses(fsys, "env.yaml")
	if err != nil {
		return x, err
	}
	for _, c := range classes {
		for _, it := range c.items {
			if c.name == quietClasses {
				x.quiet[it.text] = true
				continue
			}
			n := strings.ToUpper(it.text)
			if strings.Contains(n, "*") {
				x.globs = append(x.globs, envGlob{n, c.name})
				continue
			}
			if old := x.exact[n]; old != "" {
				return x, fmt.Errorf("env.yaml:%d: %s is already %s", it.line, it.text, old)
			}
			x.exact[n] = c.name
		}
	}
	return x, nil
}

// EnvClass names what an environment variable holds, as env.yaml has it: secret, identity, ci and so on, or "" when nothing is
// known of it. Case does not count, as on Windows.
func (b *Base) EnvClass(name string) string {
	n := strings.ToUpper(name)
	if c := b.env.exact[n]; c != "" {
		return c
	}
	for _, g := range b.env.globs {
		if wild(g.pattern, n) {
			return g.class
		}
	}
	return ""
}
