//go:build linux

package syscalls

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// useOtherABI calls by the numbers of x32, and by those of i386 through the gate that every process has.
func useOtherABI() {
	say("x32", raw(x32Bit|unix.SYS_GETPID))
	say("i386", interrupt80(20)) // getpid
}

// interrupt80 makes a call without arguments by its number of i386.
func interrupt80(nr uintptr) error {
	code, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	copy(code, []byte{0xcd, 0x80, 0xc3}) // int 0x80; ret: Go passes the first argument and the result in the register that the gate uses
	entry := &struct{ at *byte }{&code[0]}
	f := *(*func(uintptr) uintptr)(unsafe.Pointer(&entry))
	r := f(nr)
	runtime.KeepAlive(entry)
	if int32(r) < 0 {
		return unix.Errno(-int32(r))
	}
	return nil
}
