//go:build linux

package syscalls

import "fmt"

// There is no other set of numbers that this processor takes from such a process.
func useOtherABI() { fmt.Println("none") }
