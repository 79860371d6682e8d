package registrytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"slices"
	"strings"
	"time"
)

// Pack makes the tarball that npm would make of some files: package.json first, everything below package/, and always the same
// bytes for the same files. Files below bin/ can be executed.
func Pack(files map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	names := slices.Sorted(maps.Keys(files))
	if i := slices.Index(names, "package.json"); i > 0 {
		names = append([]string{"package.json"}, slices.Delete(names, i, i+1)...)
	}
	for _, n := range names {
		mode := int64(0o644)
		if strings.HasPrefix(n, "bin/") {
			mode = 0o755
		}
		// npm's own date
		h := &tar.Header{Name: "package/" + n, Mode: mode, Size: int64(len(files[n])), ModTime: time.Date(1985, 10, 26, 8, 15, 0, 0, time.UTC), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			panic(err) // a name that no tar can hold is a mistake of the test
		}
		w.Write([]byte(files[n]))
	}
	w.Close()
	z.Close()
	return b.Bytes()
}
