package crash

import (
	"os/exec"
	"syscall"
)

// endWithParent has a child killed where the test process itself is killed, so
// that no node is left behind. The signal comes with the end of the thread that
// started the child; threads of a Go program last as long as it does, unless a
// goroutine ends while it is locked to one, and none here is.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
