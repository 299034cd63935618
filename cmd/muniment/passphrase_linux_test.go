package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// typist types one line at a terminal whenever a prompt is shown.
type typist struct {
	keyboard *os.File
	lines    []string
	shown    strings.Builder
}

func (y *typist) Write(b []byte) (int, error) {
	y.shown.Write(b)
	if bytes.HasSuffix(b, []byte(": ")) && len(y.lines) > 0 {
		line := y.lines[0]
		y.lines = y.lines[1:]
		if _, err := y.keyboard.WriteString(line + "\r"); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// pseudoTerminal gives the two sides of a terminal.
func pseudoTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard = must(os.OpenFile("/dev/ptmx", os.O_RDWR, 0))
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number := must(unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN))
	terminal = must(os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0))
	t.Cleanup(func() { terminal.Close() })
	return keyboard, terminal
}

// A new passphrase is typed twice, and is not shown.
func TestPassphraseIsTypedTwice(t *testing.T) {
	const other = "another horse battery"
	for _, test := range []struct {
		lines  []string
		reason string
		code   int
	}{
		{[]string{testPassphrase, testPassphrase}, "", exitDone},
		{[]string{testPassphrase, other}, "PASSPHRASES_DIFFER", exitUsage},
		{[]string{testPassphrase, testPassphrase + " "}, "PASSPHRASES_DIFFER", exitUsage},
		{[]string{"short"}, "WEAK_PASSPHRASE", exitUsage},
		{[]string{""}, "NO_PASSPHRASE", exitUsage},
		{[]string{"half\x03"}, "INTERRUPTED", exitInterrupted},
	} {
		keyboard, terminal := pseudoTerminal(t)
		y := &typist{keyboard: keyboard, lines: test.lines}
		got, err := (&program{stdin: terminal, stderr: y}).passphrase("passphrase", true)
		if reasonOf(err) != test.reason || codeOf(err) != test.code || (err == nil) != (string(got) == testPassphrase) || err != nil && got != nil {
			t.Errorf("%q: %q, %v; want %q", test.lines, got, err, test.reason)
		}
		if len(y.lines) > 0 || strings.Contains(y.shown.String(), "horse") {
			t.Errorf("%q: not asked for %q; shown %q", test.lines, y.lines, y.shown.String())
		}
	}
}
