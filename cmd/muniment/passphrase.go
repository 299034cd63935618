package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"
)

const (
	minPassphrase = 8 // bytes of a new one
	maxPassphrase = 1024
)

// passphrase gets the passphrase: the first line of the file that was named, or
// what is typed without echo. A new one is typed twice.
func (p *program) passphrase(prompt string, fresh bool) ([]byte, error) {
	typed, err := p.askPassphrase(prompt)
	if err != nil {
		return nil, err
	}
	if fresh && len(typed) < minPassphrase {
		return nil, failed(exitUsage, "WEAK_PASSPHRASE", "use several words", "the passphrase has fewer than %d characters", minPassphrase)
	}
	if fresh && p.passphraseFile == "" {
		again, err := p.askPassphrase("the same again")
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(typed, again) {
			return nil, failed(exitUsage, "PASSPHRASES_DIFFER", "", "the two passphrases differ")
		}
	}
	return typed, nil
}

func (p *program) askPassphrase(prompt string) ([]byte, error) {
	if p.passphraseFile != "" {
		text, err := readBounded(p.passphraseFile, maxPassphrase)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, failed(exitNotFound, "NO_SUCH_FILE", "name a file that has the passphrase in its first line, or leave --passphrase-file out to be asked", "there is no file %s", p.passphraseFile)
		}
		if err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
			return nil, failed(exitUsage, "NO_PASSPHRASE", "", "the first line of %s is empty", p.passphraseFile)
		}
		return line, nil
	}
	terminal, err := p.terminal()
	if err != nil {
		return nil, err
	}
	return p.typed(terminal, prompt)
}

// typed reads a line from a terminal. The echo is off before the prompt is
// shown, and an interrupt ends the line: in this mode it is a character.
func (p *program) typed(terminal *os.File, prompt string) ([]byte, error) {
	before, err := term.MakeRaw(int(terminal.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	defer term.Restore(int(terminal.Fd()), before)
	line, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{terminal, p.stderr}, "").ReadPassword(prompt + ": ")
	if errors.Is(err, io.EOF) {
		return nil, interrupted()
	}
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	if line == "" {
		return nil, failed(exitUsage, "NO_PASSPHRASE", "", "no passphrase was typed")
	}
	return []byte(line), nil
}

// terminal is where passphrases are typed: standard input, or the terminal of
// the process where standard input carries a document.
func (p *program) terminal() (*os.File, error) {
	none := failed(exitUsage, "NO_PASSPHRASE", "give --passphrase-file FILE", "there is no terminal to ask for the passphrase")
	if f, ok := p.stdin.(*os.File); !ok {
		return nil, none
	} else if term.IsTerminal(int(f.Fd())) {
		return f, nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, none
	}
	return tty, nil
}
