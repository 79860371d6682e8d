package static

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/andybalholm/brotli"
	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"

	"github.com/donapi/donapi/internal/callseq"
)

// Ciphers, digests and compression on known data run for real, so that payloads with their key at hand unfold.

func cryptoModels() map[string]hostModel {
	return map[string]hostModel{
		"crypto.createHash": createHash, "crypto.createHmac": createHash,
		"crypto.createDecipheriv": createCipher(false), "crypto.createCipheriv": createCipher(true),
		"crypto.createDecipher": createCipher(false), "crypto.createCipher": createCipher(true),
		"crypto.scryptSync": scryptSync, "crypto.pbkdf2Sync": pbkdf2Sync,
	}
}

func newHash(name string) hash.Hash {
	switch strings.ToLower(strings.ReplaceAll(name, "-", "")) {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	}
	return nil
}

// dataOf gives the bytes of text or bytes that are wholly known.
func (ev *evaluator) dataOf(v Value, enc Value) ([]byte, bool) {
	if raw, _, ok := rawBytes(v); ok {
		return raw, true
	}
	if s, ok := plain(v).(string); ok {
		e, _ := plain(enc).(string)
		return encodeText(s, e)
	}
	return nil, false
}

// createHash is a digest object: update collects, digest computes.
func createHash(h *hostCall) (Value, bool) {
	ev := h.ev
	name, _ := text(h.arg(0))
	sum := newHash(name)
	keyed := h.fn.path == "crypto.createHmac"
	known := sum != nil && !keyed
	fl := h.flows(callseq.Encrypt)
	if keyed {
		fl = fl.union(deep(h.arg(1)).via(callseq.Encrypt))
	}
	o := ev.object()
	o.putHidden("update", ev.nativeFn("update", func(ev *evaluator, this Value, args []Value) Value {
		raw, ok := ev.dataOf(argOr(args, 0), argOr(args, 1))
		known = known && ok
		fl = fl.union(deep(argOr(args, 0)).via(callseq.Encrypt))
		if known {
			sum.Write(raw)
		}
		return o
	}))
	o.putHidden("digest", ev.nativeFn("digest", func(ev *evaluator, _ Value, args []Value) Value {
		enc, _ := plain(argOr(args, 0)).(string)
		if !known {
			if enc != "" {
				return &Abstract{kind: callseq.String, flows: fl, path: "digest()"}
			}
			return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl, path: "digest()"}
		}
		raw := sum.Sum(nil)
		if enc == "" || enc == "buffer" {
			return ev.newBytes("Buffer", raw, fl)
		}
		s, _ := decodeText(raw, enc)
		return tainted(s, fl)
	}))
	return o, true
}

// createCipher is a cipher object: with key and data known it computes, otherwise it passes flows on.
func createCipher(encrypt bool) hostModel {
	return func(h *hostCall) (Value, bool) {
		ev := h.ev
		alg, _ := text(h.arg(0))
		key, ok1 := ev.dataOf(h.arg(1), nil)
		iv, ok2 := ev.dataOf(h.arg(2), nil)
		if _, isNull := h.arg(2).(null); isNull {
			ok2 = true
		}
		if h.fn.path == "crypto.createDecipher" || h.fn.path == "crypto.createCipher" {
			alg, key, iv = passwordKey(alg, key)
			ok2 = ok1
		}
		via := callseq.Decrypt
		if encrypt {
			via = callseq.Encrypt
		}
		fl := h.flows(callseq.Copy).union(deep(h.arg(1)).via(via).may())
		known := ok1 && ok2
		var in []byte
		o := ev.object()
		give := func(ev *evaluator, raw []byte, enc Value) Value {
			e, _ := plain(enc).(string)
			if e == "" || e == "buffer" {
				return ev.newBytes("Buffer", raw, fl)
			}
			s, _ := decodeText(raw, e)
			return tainted(s, fl)
		}
		open := func(enc Value) Value {
			if e, _ := plain(enc).(string); e != "" {
				return &Abstract{kind: callseq.String, flows: fl, path: "decipher()"}
			}
			return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl, path: "decipher()"}
		}
		o.putHidden("update", ev.nativeFn("update", func(ev *evaluator, _ Value, args []Value) Value {
			raw, ok := ev.dataOf(argOr(args, 0), argOr(args, 1))
			known = known && ok
			fl = fl.union(deep(argOr(args, 0)).via(via))
			if !known {
				return open(argOr(args, 2))
			}
			in = append(in, raw...)
			out, ok := runCipher(alg, key, iv, in, encrypt)
			if !ok {
				known = false
				return open(argOr(args, 2))
			}
			// All of it at once: final then has nothing to add, as if the data had been whole blocks.
			in = nil
			return give(ev, out, argOr(args, 2))
		}))
		o.putHidden("final", ev.nativeFn("final", func(ev *evaluator, _ Value, args []Value) Value {
			if !known {
				return open(argOr(args, 0))
			}
			return give(ev, nil, argOr(args, 0))
		}))
		self := ev.nativeFn("self", func(*evaluator, Value, []Value) Value { return o })
		for _, k := range strings.Fields("setAutoPadding setAuthTag setAAD on once pipe") {
			o.putHidden(k, self)
		}
		o.putHidden("getAuthTag", ev.nativeFn("getAuthTag", func(ev *evaluator, _ Value, _ []Value) Value {
			return &Abstract{kind: callseq.Bytes, flows: fl}
		}))
		return o, true
	}
}

// passwordKey derives key and vector from a password as the old createCipher did: EVP_BytesToKey of OpenSSL with MD5, no salt, one
// round. Short names of algorithms are completed.
func passwordKey(alg string, password []byte) (name string, key, iv []byte) {
	name = strings.ToLower(alg)
	if n, ok := strings.CutPrefix(name, "aes"); ok && (n == "128" || n == "192" || n == "256") {
		name = "aes-" + n + "-cbc"
	}
	size := 32
	if strings.Contains(name, "128") {
		size = 16
	} else if strings.Contains(name, "192") {
		size = 24
	}
	var out, last []byte
	for len(out) < size+16 {
		sum := md5.Sum(append(last, password...))
		last = sum[:]
		out = append(out, last...)
	}
	return name, out[:size], out[size : size+16]
}

func runCipher(alg string, key, iv, in []byte, encrypt bool) ([]byte, bool) {
	alg = strings.ToLower(alg)
	if !strings.HasPrefix(alg, "aes") {
		return nil, false
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	out := make([]byte, len(in))
	switch {
	case strings.HasSuffix(alg, "-ctr") && len(iv) == 16:
		cipher.NewCTR(block, iv).XORKeyStream(out, in)
		return out, true
	case strings.HasSuffix(alg, "-gcm") && len(iv) > 0 && len(iv) <= 64:
		// Without the tag GCM is counter mode from the second block on.
		g, err := cipher.NewGCMWithNonceSize(block, len(iv))
		if err != nil {
			return nil, false
		}
		return g.Seal(nil, iv, in, nil)[:len(in)], true
	case strings.HasSuffix(alg, "-cbc") && len(iv) == 16, strings.HasSuffix(alg, "-ecb"):
		if encrypt {
			n := 16 - len(in)%16
			in = append(append([]byte(nil), in...), bytes.Repeat([]byte{byte(n)}, n)...)
			out = make([]byte, len(in))
		}
		if len(in)%16 != 0 || len(in) == 0 {
			return nil, false
		}
		ecb := strings.HasSuffix(alg, "-ecb")
		prev := iv
		for i := 0; i < len(in); i += 16 {
			switch {
			case encrypt && ecb:
				block.Encrypt(out[i:], in[i:i+16])
			case encrypt:
				for j := range 16 {
					out[i+j] = in[i+j] ^ prev[j]
				}
				block.Encrypt(out[i:], out[i:i+16])
				prev = out[i : i+16]
			default:
				block.Decrypt(out[i:], in[i:i+16])
				if !ecb {
					for j := range 16 {
						out[i+j] ^= prev[j]
					}
					prev = in[i : i+16]
				}
			}
		}
		if !encrypt {
			if n := int(out[len(out)-1]); n >= 1 && n <= 16 {
				out = out[:len(out)-n]
			}
		}
		return out, true
	}
	return nil, false
}

func scryptSync(h *hostCall) (Value, bool) {
	pass, ok1 := h.ev.dataOf(h.arg(0), nil)
	salt, ok2 := h.ev.dataOf(h.arg(1), nil)
	n, ok3 := number(h.arg(2))
	fl := h.flows(callseq.Encrypt, h.arg(0), h.arg(1))
	N, r, p := 16384, 8, 1
	if o, ok := h.arg(3).(*Object); ok {
		for key, dst := range map[string]*int{"N": &N, "cost": &N, "r": &r, "blockSize": &r, "p": &p, "parallelization": &p} {
			if f, ok := number(o.lookupData(key)); ok && o.lookupData(key) != nil {
				*dst = toInt(f)
			}
		}
	}
	if ok1 && ok2 && ok3 && N > 1 && N <= 1<<15 && r > 0 && r <= 16 && p > 0 && p <= 4 && n > 0 && n <= 1024 && h.ev.spend(2_000_000) {
		if out, err := scrypt.Key(pass, salt, N, r, p, int(n)); err == nil {
			return h.ev.newBytes("Buffer", out, fl), true
		}
	}
	return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl, path: "scryptSync()"}, true
}

func pbkdf2Sync(h *hostCall) (Value, bool) {
	pass, ok1 := h.ev.dataOf(h.arg(0), nil)
	salt, ok2 := h.ev.dataOf(h.arg(1), nil)
	iter, ok3 := number(h.arg(2))
	n, ok4 := number(h.arg(3))
	name, _ := text(h.arg(4))
	fl := h.flows(callseq.Encrypt, h.arg(0), h.arg(1))
	if ok1 && ok2 && ok3 && ok4 && iter >= 1 && iter <= 300_000 && n > 0 && n <= 256 && newHash(name) != nil && h.ev.spend(int64(iter)*8) {
		return h.ev.newBytes("Buffer", pbkdf2.Key(pass, salt, int(iter), int(n), func() hash.Hash { return newHash(name) }), fl), true
	}
	return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl, path: "pbkdf2Sync()"}, true
}

// spend takes the price of a costly model from the steps; false when it cannot be paid.
func (ev *evaluator) spend(n int64) bool {
	if ev.steps < n {
		return false
	}
	ev.steps -= n
	return true
}

func zlibModels() map[string]hostModel {
	m := map[string]hostModel{}
	for name, open := range map[string]func([]byte) (io.Reader, error){
		"inflate":          func(b []byte) (io.Reader, error) { return zlib.NewReader(bytes.NewReader(b)) },
		"inflateRaw":       func(b []byte) (io.Reader, error) { return flate.NewReader(bytes.NewReader(b)), nil },
		"gunzip":           func(b []byte) (io.Reader, error) { return gzip.NewReader(bytes.NewReader(b)) },
		"brotliDecompress": func(b []byte) (io.Reader, error) { return brotli.NewReader(bytes.NewReader(b)), nil },
		"unzip": func(b []byte) (io.Reader, error) {
			if len(b) > 1 && b[0] == 0x1f {
				return gzip.NewReader(bytes.NewReader(b))
			}
			return zlib.NewReader(bytes.NewReader(b))
		},
	} {
		inflate := func(h *hostCall) (Value, bool) {
			raw, fl, ok := rawBytes(h.arg(0))
			if s, isStr := plain(h.arg(0)).(string); isStr {
				raw, ok = []byte(s), true
			}
			if !ok {
				return nil, false
			}
			r, err := open(raw)
			if err != nil {
				return nil, false
			}
			out, err := io.ReadAll(io.LimitReader(r, maxBytes))
			if err != nil && len(out) == 0 || !h.ev.spend(int64(len(out)/16)) {
				return nil, false
			}
			return h.ev.newBytes("Buffer", out, fl.via(callseq.Decode).union(h.flows(callseq.Copy))), true
		}
		m["zlib."+name+"Sync"] = inflate
		m["zlib."+name] = func(h *hostCall) (Value, bool) {
			v, ok := inflate(h)
			if ok {
				if f, isFn := h.arg(len(h.args) - 1).(*Object); isFn && f.fn != nil {
					h.ev.schedule(f, nil, []Value{null{}, v}, h.id, 0)
					return nil, true
				}
			}
			return nil, false
		}
	}
	return m
}

// fileModels read the package's own files: their content is known.
func fileModels() map[string]hostModel {
	return map[string]hostModel{
		"fs.readFileSync":      func(h *hostCall) (Value, bool) { return h.ownFile() },
		"fs.readFile":          func(h *hostCall) (Value, bool) { return h.deliver(h.ownFile()) },
		"fs.promises.readFile": func(h *hostCall) (Value, bool) { return h.promised(h.ownFile()) },
		"fs.existsSync":        ownExists,
		"fs.accessSync":        ownExists,
	}
}

// assetPath is the path within the package that a value names, if it does.
func (ev *evaluator) assetPath(v Value) (string, bool) {
	if o, ok := v.(*Object); ok {
		if s, isStr := o.lookupData("href").(string); isStr {
			v = strings.TrimPrefix(s, "file://")
		}
	}
	s, ok := ev.toText(v)
	if !ok || s == "" {
		return "", false
	}
	s = strings.TrimPrefix(s, "file://")
	if !strings.HasPrefix(s, "/") {
		s = path.Join(ev.root, s)
	}
	s = path.Clean(s)
	if !strings.HasPrefix(s, ev.root+"/") {
		return "", false
	}
	return s[len(ev.root)+1:], true
}

func (h *hostCall) ownFile() (Value, bool) {
	ev := h.ev
	if key := fileKey(h.arg(0)); key != "" {
		if w := ev.files[key]; w != nil { // written before by the package itself
			fl := w.flows.via(callseq.File).union(h.flows(callseq.Copy))
			if s, ok := plain(w.content).(string); ok {
				return tainted(s, fl), true
			}
			return &Abstract{kind: callseq.Unknown, flows: fl, path: "readFile(" + quoteShort(key) + ")"}, true
		}
	}
	p, ok := ev.assetPath(h.arg(0))
	if !ok || ev.opt.Files == nil {
		return nil, false
	}
	data, ok := ev.opt.Files(p)
	if !ok || len(data) > 16<<20 {
		return nil, false
	}
	fl := h.flows(callseq.Copy)
	enc := ""
	switch o := h.arg(1).(type) {
	case string:
		enc = o
	case *Object:
		if o.fn == nil {
			enc, _ = plain(o.lookupData("encoding")).(string)
		}
	}
	if enc == "" {
		return ev.newBytes("Buffer", bytes.Clone(data), fl), true
	}
	s, ok := decodeText(data, enc)
	return tainted(s, fl), ok
}

// deliver hands a result to the callback.
func (h *hostCall) deliver(v Value, ok bool) (Value, bool) {
	if !ok || len(h.args) == 0 {
		return nil, false
	}
	f, isFn := h.args[len(h.args)-1].(*Object)
	if !isFn || f.fn == nil {
		return nil, false
	}
	h.ev.schedule(f, nil, []Value{null{}, v}, h.id, 0)
	return nil, true
}

func (h *hostCall) promised(v Value, ok bool) (Value, bool) {
	if !ok {
		return nil, false
	}
	return h.ev.settledPromise(v, false), true
}

func ownExists(h *hostCall) (Value, bool) {
	if p, ok := h.ev.assetPath(h.arg(0)); ok && h.ev.opt.Files != nil {
		if _, ok := h.ev.opt.Files(p); ok {
			return true, true
		}
	}
	return nil, false
}
