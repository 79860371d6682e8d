package npm

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Integrity is a subresource-integrity text, as sha512-BASE64; it may name several digests. Empty means none is known.
type Integrity string

// strength orders algorithms; the strongest that is present decides, as npm has it.
var strength = []struct {
	name string
	new  func() hash.Hash
}{{"sha512", sha512.New}, {"sha384", sha512.New384}, {"sha256", sha256.New}, {"sha1", sha1.New}}

// SHA1 makes an integrity of a hexadecimal shasum.
func SHA1(hexDigest string) Integrity {
	b, err := hex.DecodeString(hexDigest)
	if err != nil || len(b) != sha1.Size {
		return ""
	}
	return Integrity("sha1-" + base64.StdEncoding.EncodeToString(b))
}

// strongest returns the digests of the strongest algorithm present.
func (i Integrity) strongest() (name string, new func() hash.Hash, digests []string) {
	for _, s := range strength {
		for _, f := range strings.Fields(string(i)) {
			if d, ok := strings.CutPrefix(f, s.name+"-"); ok {
				d, _, _ = strings.Cut(d, "?")
				digests = append(digests, d)
			}
		}
		if len(digests) > 0 {
			return s.name, s.new, digests
		}
	}
	return "", nil, nil
}

// Weak reports that nothing better than sha1 vouches for the bytes.
func (i Integrity) Weak() bool {
	name, _, _ := i.strongest()
	return name == "sha1" || name == ""
}

// Known reports a digest that can be checked at all.
func (i Integrity) Known() bool {
	name, _, _ := i.strongest()
	return name != ""
}

// MismatchError says that bytes are not those that were promised.
type MismatchError struct{ Want, Got string }

func (e *MismatchError) Error() string {
	return fmt.Sprintf("integrity mismatch: the registry promises %s, the tarball is %s", e.Want, e.Got)
}

// Reader checks what is read through it against an integrity: at its end it returns a *MismatchError instead of io.EOF when the
// bytes differ. Without an integrity nothing is checked.
func (i Integrity) Reader(r io.Reader) io.Reader {
	name, new, digests := i.strongest()
	if new == nil {
		return r
	}
	return &checker{r: r, h: new(), name: name, want: digests}
}

type checker struct {
	r    io.Reader
	h    hash.Hash
	name string
	want []string
	done error
}

func (c *checker) Read(p []byte) (int, error) {
	if c.done != nil {
		return 0, c.done
	}
	n, err := c.r.Read(p)
	c.h.Write(p[:n])
	if err == io.EOF {
		got := base64.StdEncoding.EncodeToString(c.h.Sum(nil))
		c.done = &MismatchError{Want: c.name + "-" + c.want[0], Got: c.name + "-" + got}
		for _, w := range c.want {
			if w == got {
				c.done = io.EOF
			}
		}
		return n, c.done
	}
	return n, err
}
