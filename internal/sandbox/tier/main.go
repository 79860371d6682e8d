package tier

import (
	"os"

	"github.com/donapi/donapi/internal/sandbox/namespaces"
	"github.com/donapi/donapi/internal/sandbox/strong"
)

// Main is the life of this process where it was started as a part of a box; then it does not return. Programs that use this package
// call it first thing in main, and in TestMain.
func Main() {
	namespaces.Main()
	strong.Main()
	if s := os.Getenv(probeEnv); s != "" {
		os.Exit(probe(s))
	}
}
