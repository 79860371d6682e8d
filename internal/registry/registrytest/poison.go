package registrytest

import "strings"

// PoisonDocuments are documents of the absurd shapes that registries do hold or intermediaries make, by what is wrong with them. Each is
// to be survived: recorded, and gone on from.
func PoisonDocuments() map[string]string {
	return map[string]string{
		"null":                      `null`,
		"a list":                    `[]`,
		"a text":                    `"not_found"`,
		"nothing":                   ``,
		"a page":                    `<html><body>502 Bad Gateway</body></html>`,
		"cut":                       `{"name":"poison","versions":{"1.0.0":{"name":"po`,
		"empty":                     `{}`,
		"an error":                  `{"error":"not_found","reason":"deleted"}`,
		"no name":                   `{"versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":"http://127.0.0.1:1/a.tgz"}}},"dist-tags":{"latest":"1.0.0"}}`,
		"another name":              `{"name":"../../other","versions":{}}`,
		"no versions":               `{"name":"poison","time":{"created":"2020-01-01T00:00:00.000Z"}}`,
		"versions of null":          `{"name":"poison","versions":null,"time":null,"dist-tags":null}`,
		"versions in a list":        `{"name":"poison","versions":[{"version":"1.0.0"}]}`,
		"a version of null":         `{"name":"poison","versions":{"1.0.0":null},"dist-tags":{"latest":"1.0.0"}}`,
		"no dist":                   `{"name":"poison","versions":{"1.0.0":{"name":"poison","version":"1.0.0"}}}`,
		"dist of null":              `{"name":"poison","versions":{"1.0.0":{"name":"poison","version":"1.0.0","dist":null}}}`,
		"a file as tarball":         `{"name":"poison","versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":"file:///etc/passwd"}}}}`,
		"numbers in dist":           `{"name":"poison","versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":7,"shasum":null,"integrity":{}}}}}`,
		"a version that is none":    `{"name":"poison","versions":{"latest":{"version":"latest"},"1.0":{"version":"1.0"},"":{"version":""},"1.0.0\u0000":{"version":"x"}}}`,
		"versions that disagree":    `{"name":"poison","versions":{"1.0.0":{"name":"other","version":"2.0.0"}}}`,
		"a tag to nowhere":          `{"name":"poison","dist-tags":{"latest":"9.9.9"},"versions":{}}`,
		"tags of numbers":           `{"name":"poison","dist-tags":{"latest":1},"versions":{}}`,
		"dependencies in a list":    `{"name":"poison","versions":{"1.0.0":{"version":"1.0.0","dependencies":["a"],"scripts":"x","bin":[1],"dist":{}}}}`,
		"dependencies of a text":    `{"name":"poison","versions":{"1.0.0":{"version":"1.0.0","dependencies":"a","deprecated":{"x":1},"_npmUser":"bob"}}}`,
		"times of odd types":        `{"name":"poison","versions":{},"time":{"1.0.0":1,"created":[],"unpublished":"yes"}}`,
		"time of a text":            `{"name":"poison","time":"now","_rev":12}`,
		"the same key twice":        `{"name":"poison","name":7,"versions":{"1.0.0":{"version":"1.0.0"}},"versions":{}}`,
		"deep":                      strings.Repeat(`{"versions":`, 20_000),
		"letters that are not UTF8": "{\"name\":\"\xff\xfe\",\"versions\":{\"\xff\":{}}}",
		"numbers beyond any":        `{"name":"poison","versions":{"1.0.0":{"version":"1.0.0","dist":{"unpackedSize":1e999,"fileCount":-1}}}}`,
	}
}

// OddEntries are rows of a feed that name no package, or hardly; see Registry.OddEntry.
func OddEntries() []string {
	return []string{
		`null`, `7`, `"text"`, `[]`, `{}`, `{"seq":%d}`, `{"seq":%d,"id":""}`, `{"seq":%d,"id":7,"changes":[]}`, `{"seq":%d,"id":"_design/app","changes":[{"rev":"1-a"}]}`,
		`{"seq":%d,"id":"../../etc","changes":[{"rev":"1-a"}]}`, `{"seq":%d,"id":"a/b/c","changes":[{"rev":"1-a"}]}`, `{"seq":%d,"id":".hidden"}`, `{"seq":%d,"id":"a b","deleted":true}`,
	}
}
