//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// links are the machines' cables: a namespace with a bridge, and one for each
// machine with one link to it. None has a way out. Machine i has address 10.66.0.i;
// the recorder and the tests are at 10.66.0.100, on the bridge, which no fault touches.
type links struct {
	hub      string
	machines map[int]string // namespaces
}

const hubAddress = "10.66.0.100"

func addressOf(machine int) string { return fmt.Sprintf("10.66.0.%d", machine) }

// newLinks makes the namespaces. They go with the test.
func newLinks(t *testing.T, machines ...int) *links {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("network namespaces are made by root alone")
	}
	l := &links{hub: fmt.Sprintf("mch%d", os.Getpid()), machines: map[int]string{}}
	l.add(t, l.hub)
	tool(t, "ip", "-n", l.hub, "link", "add", "name", "hub", "type", "bridge")
	tool(t, "ip", "-n", l.hub, "addr", "add", hubAddress+"/24", "dev", "hub")
	tool(t, "ip", "-n", l.hub, "link", "set", "hub", "up")
	tool(t, "ip", "-n", l.hub, "link", "set", "lo", "up")
	for _, m := range machines {
		ns := fmt.Sprintf("%sn%d", l.hub, m)
		l.machines[m] = ns
		l.add(t, ns)
		port := l.port(m)
		tool(t, "ip", "-n", l.hub, "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
		tool(t, "ip", "-n", l.hub, "link", "set", port, "master", "hub", "up")
		tool(t, "ip", "-n", ns, "addr", "add", addressOf(m)+"/24", "dev", "eth0")
		tool(t, "ip", "-n", ns, "link", "set", "eth0", "up")
		tool(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	return l
}

func (l *links) port(machine int) string { return fmt.Sprintf("port%d", machine) }

func (l *links) add(t *testing.T, ns string) {
	t.Helper()
	tool(t, "ip", "netns", "add", ns)
	undo(t, "ip", "netns", "del", ns)
}

// tool runs a program of the system.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// in gives a command that runs in a machine's namespace, as the same process.
func (l *links) in(ns, program string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns, program}, args...)...)
}

// deaf has a machine not hear some others; they may hear it.
func (l *links) deaf(t *testing.T, machine int, others ...int) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("table inet chaos {\nchain deaf {\ntype filter hook input priority 0\n")
	for _, o := range others {
		fmt.Fprintf(&b, "ip saddr %s drop\n", addressOf(o))
	}
	b.WriteString("}\n}\n")
	cmd := l.in(l.machines[machine], "nft", "-f", "-")
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// part cuts the machines of one side from those of the other, both ways.
func (l *links) part(t *testing.T, one, other []int) {
	t.Helper()
	for _, m := range one {
		l.deaf(t, m, other...)
	}
	for _, m := range other {
		l.deaf(t, m, one...)
	}
}

// mend has every machine hear all others.
func (l *links) mend(t *testing.T) {
	t.Helper()
	for _, ns := range l.machines {
		cmd := l.in(ns, "nft", "flush", "ruleset")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
	}
}

// link takes a machine's cable out, or puts it in.
func (l *links) link(t *testing.T, machine int, state string) {
	t.Helper()
	tool(t, "ip", "-n", l.hub, "link", "set", l.port(machine), state)
}

// narrow lets little through a machine's link; widen undoes it.
func (l *links) narrow(t *testing.T, machine int, rate string) {
	t.Helper()
	tool(t, "tc", "-n", l.machines[machine], "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "16kb", "latency", "300ms")
}

func (l *links) widen(t *testing.T, machine int) {
	t.Helper()
	tool(t, "tc", "-n", l.machines[machine], "qdisc", "del", "dev", "eth0", "root")
}

// dial connects from the bridge.
func (l *links) dial(ctx context.Context, address string) (net.Conn, error) {
	return l.dialFrom(ctx, l.hub, address)
}

// dialFrom connects from a namespace.
func (l *links) dialFrom(ctx context.Context, ns, address string) (net.Conn, error) {
	// A socket belongs to the namespace in which its thread made it.
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + ns)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return nil, back // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return conn, err
}
