package reconstruct

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
)

// TestMergeCorpus merges the ordinary packages of a corpus folder and parses what comes out; nothing is run. DONAPI_CORPUS_EVERY
// takes one package of so many.
func TestMergeCorpus(t *testing.T) {
	root := os.Getenv("DONAPI_CORPUS")
	if root == "" {
		t.Skip("SKIPPED: DONAPI_CORPUS names no corpus")
	}
	every := 20
	if n, err := strconv.Atoi(os.Getenv("DONAPI_CORPUS_EVERY")); err == nil && n > 0 {
		every = n
	}
	dirs, err := filepath.Glob(filepath.Join(root, "benign", "*"))
	if err != nil {
		t.Fatal(err)
	}
	merged, forms := 0, map[string]int{}
	for i := 0; i < len(dirs); i += every {
		dir := dirs[i]
		st, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		var a *artifact.Artifact
		if st.IsDir() {
			a, err = artifact.FromFolder(dir, artifact.Limits{})
		} else {
			a, err = readTarball(dir)
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
			continue
		}
		m, err := Merge(Build(a, Options{}), MergeOptions{})
		if errors.Is(err, ErrNothing) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
			continue
		}
		merged++
		for _, f := range m.Files {
			forms[f.How]++
		}
		if _, err := js.Parse("merged"+m.Ext(), m.Code, js.Options{}); err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
		}
	}
	t.Logf("%d packages merged, files: %v", merged, forms)
}

func readTarball(file string) (*artifact.Artifact, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return artifact.FromTarball(f, artifact.Limits{})
}
