package node

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ForbidDumps keeps the memory of this process, which has keys in it, out of
// files: no core dump is written, neither to a file nor to a program that
// collects dumps (which the limit alone would not stop), and no other process of
// the same user can read the memory. It is called before any key is read.
func ForbidDumps() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
}
