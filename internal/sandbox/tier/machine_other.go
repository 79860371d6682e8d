//go:build !(linux && (amd64 || arm64))

package tier

import "runtime"

func thisMachine() machine {
	return machine{os: runtime.GOOS, system: runtime.GOOS + "/" + runtime.GOARCH}
}
