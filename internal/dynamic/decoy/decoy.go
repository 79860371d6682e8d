// Package decoy makes the home folder and environment of a developer who does not exist. The credentials in it belong to no service and
// are made anew for every run, so one that turns up in what a box sends proves that it was read there and sent.
package decoy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"path"

	"github.com/donapi/donapi/internal/sandbox"
)

// Token is a planted credential.
type Token struct {
	Name  string // what it is: npm, aws, ssh...
	Value string
}

// Home is a lived-in home.
type Home struct {
	Files  []sandbox.File
	Env    []string // NAME=value
	Tokens []Token
}

// New makes a home in the folder dir. The same seed gives the same home; different seeds share no token.
func New(seed, dir string) *Home {
	h := &Home{}
	token := func(name, prefix string, n int) string {
		v := prefix + letters(seed+"\x00"+name, n)
		h.Tokens = append(h.Tokens, Token{name, v})
		return v
	}
	file := func(name, format string, args ...any) {
		h.Files = append(h.Files, sandbox.File{Path: path.Join(dir, name), Data: fmt.Appendf(nil, format, args...), Mode: 0o600})
	}
	file(".npmrc", "//registry.npmjs.org/:_authToken=%s\n", token("npm", "npm_", 36))
	file(".aws/credentials", "[default]\naws_access_key_id = AKIA7QXDEV4EXAMPLE22\naws_secret_access_key = %s\n", token("aws", "", 40))
	file(".ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n", token("ssh", "b3BlbnNzaC1rZXktdjEA", 48))
	file(".git-credentials", "https://dev:%s@github.com\n", token("git", "ghp_", 36))
	file(".gitconfig", "[user]\n\tname = Dev\n\temail = dev@corp.example\n[credential]\n\thelper = store\n")
	file(".docker/config.json", `{"auths":{"registry.example":{"identitytoken":"%s"}}}`+"\n", token("docker", "", 40))
	file(".kube/config", "apiVersion: v1\nkind: Config\nusers:\n- name: dev\n  user:\n    token: %s\n", token("kube", "", 48))
	file(".bash_history", "cd projects/shop\nnpm test\ngit push\n")
	file("projects/shop/.env", "DATABASE_PASSWORD=%s\n", token("database", "", 32))
	h.Env = []string{
		"NPM_TOKEN=" + token("env npm", "npm_", 36),
		"GITHUB_TOKEN=" + token("env github", "ghp_", 36),
		"AWS_SECRET_ACCESS_KEY=" + token("env aws", "", 40),
	}
	return h
}

// letters are n letters and digits that follow from the key.
func letters(key string, n int) string {
	s := ""
	for k := 0; len(s) < n; k++ {
		sum := sha256.Sum256([]byte(fmt.Sprintf("%s\x00%d", key, k)))
		v, _ := new(big.Int).SetString(hex.EncodeToString(sum[:]), 16)
		s += v.Text(62)
	}
	return s[:n]
}
