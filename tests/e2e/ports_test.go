package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A machine of its own is a network namespace in which nothing else runs. The test's
// own program starts the node there, looks around, and prints a survey.

// surveyVariable holds, for the process in the namespace, how munimentd is started.
const surveyVariable = "MUNIMENT_TEST_SURVEY"

// outsideAddress is the address under which others know the machine.
const outsideAddress = "192.0.2.7"

// survey is what somebody sees of a machine.
type survey struct {
	Open      map[string][]int // ports that take a connection, by address
	Listening []string         // address and port, as the kernel lists them
	UDP       []string
	Unix      []string // sockets that listen
}

// surveyed is main of the process in the namespace.
func surveyed(command string) int {
	var args []string
	err := json.Unmarshal([]byte(command), &args)
	for _, setup := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", outsideAddress + "/32", "dev", "lo"}} {
		if err == nil {
			err = exec.Command("ip", setup...).Run()
		}
	}
	var s survey
	if err == nil {
		s, err = look(args)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// look starts munimentd, surveys the machine, and stops it.
func look(args []string) (s survey, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	if err := cmd.Start(); err != nil {
		return s, err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if ended := cmd.Wait(); err == nil {
			err = ended
		}
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "serving:") {
		return s, fmt.Errorf("munimentd said %q: %w", line, err)
	}
	s.Open = map[string][]int{}
	for _, address := range []string{"127.0.0.1", outsideAddress, "::1"} {
		s.Open[address] = scan(address)
	}
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		found, err := sockets(file)
		if err != nil {
			return s, err
		}
		if strings.HasPrefix(file, "udp") {
			s.UDP = append(s.UDP, found...)
		} else {
			s.Listening = append(s.Listening, found...)
		}
	}
	slices.Sort(s.Listening)
	s.Unix, err = unixSockets()
	return s, err
}

// scan tries every port.
func scan(host string) (open []int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	const callers = 16
	for first := range callers {
		group.Go(func() {
			for port := first + 1; port <= 65535; port += callers {
				conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), 5*time.Second)
				if err != nil {
					continue
				}
				// Where nobody listens, a call can meet itself at the port from which it comes.
				if conn.LocalAddr().String() != conn.RemoteAddr().String() {
					mu.Lock()
					open = append(open, port)
					mu.Unlock()
				}
				conn.Close()
			}
		})
	}
	group.Wait()
	slices.Sort(open)
	return open
}

// sockets lists those of a file of /proc/net that wait for somebody.
func sockets(file string) (found []string, err error) {
	text, err := os.ReadFile("/proc/net/" + file)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		fields := strings.Fields(line)
		const listening = "0A"
		if strings.HasPrefix(file, "tcp") && fields[3] != listening {
			continue
		}
		ip, port, _ := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(ip)
		if err != nil {
			return nil, err
		}
		for word := range slices.Chunk(raw, 4) { // in the order of the machine
			slices.Reverse(word)
		}
		number, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			return nil, err
		}
		found = append(found, net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(number, 10)))
	}
	return found, nil
}

// unixSockets lists the sockets of the namespace that listen.
func unixSockets() (found []string, err error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		const listening = "00010000"
		if fields := strings.Fields(line); len(fields) > 3 && fields[3] == listening {
			found = append(found, fields[len(fields)-1])
		}
	}
	return found, nil
}

// alone gives a command that runs in a network namespace of its own.
func alone(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// TestT02_OnlyDeclaredListeners: of all ports of a machine the node holds those that
// docs/SECURITY.md declares, and the monitor where others cannot reach it.
func TestT02_OnlyDeclaredListeners(t *testing.T) {
	needs(t, "ip")
	if out, err := alone("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("this test needs a network namespace of its own: %v %s", err, out)
	}
	for name, test := range map[string]struct {
		settings []string
		want     survey
	}{
		"as installed": {nil, survey{
			Open:      map[string][]int{"127.0.0.1": {7450, 7451, 7452, 26656}, outsideAddress: nil, "::1": nil},
			Listening: []string{"127.0.0.1:26656", "127.0.0.1:7450", "127.0.0.1:7451", "127.0.0.1:7452"},
		}},
		"serving others": {[]string{"p2p.listen=" + outsideAddress + ":26656", "grpc.listen=" + outsideAddress + ":7450", "tiles.listen=" + outsideAddress + ":7451"}, survey{
			Open:      map[string][]int{"127.0.0.1": {7452}, outsideAddress: {7450, 7451, 26656}, "::1": nil},
			Listening: []string{"127.0.0.1:7452", outsideAddress + ":26656", outsideAddress + ":7450", outsideAddress + ":7451"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCity(t)
			args := []string{filepath.Join(programs, "munimentd"), "start", "--home", string(c.home),
				"--passphrase-file", write(t, filepath.Join(t.TempDir(), "passphrase"), []byte(passphrase+"\n"))}
			for _, s := range test.settings {
				args = append(args, "--set", s)
			}
			command, err := json.Marshal(args)
			if err != nil {
				t.Fatal(err)
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := alone(self)
			cmd.Env = append(os.Environ(), surveyVariable+"="+string(command))
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			var got survey
			if err == nil {
				err = json.Unmarshal(out, &got)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			if !maps.EqualFunc(got.Open, test.want.Open, slices.Equal) || !slices.Equal(got.Listening, test.want.Listening) {
				t.Errorf("open are %v, the kernel lists %v\nwant %v and %v", got.Open, got.Listening, test.want.Open, test.want.Listening)
			}
			if len(got.UDP) > 0 || !slices.Equal(got.Unix, []string{c.home.Socket()}) {
				t.Errorf("UDP %v, unix sockets %v; want none, and the operators' alone", got.UDP, got.Unix)
			}
		})
	}
}
