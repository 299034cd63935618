package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/term"
)

// passphrase reads the passphrase from the file that the flag names, without
// the line end, or asks for it. It comes from nowhere else.
func (o options) passphrase(confirm bool) ([]byte, error) {
	if o.passphraseFile != "" {
		text, err := os.ReadFile(o.passphraseFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read passphrase: %s is not there: name a file that has it with --passphrase-file, or leave that out to be asked", o.passphraseFile)
		}
		if err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		return notEmpty(bytes.TrimRight(text, "\r\n"))
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, withCode(exitUsage, errors.New("no terminal to ask for the passphrase: give --passphrase-file"))
	}
	first, err := ask("Passphrase of this home: ")
	if err != nil || !confirm {
		return first, err
	}
	second, err := ask("Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two passphrases differ: nothing was made")
	}
	return first, nil
}

func ask(prompt string) ([]byte, error) {
	fmt.Fprint(os.Stderr, prompt)
	text, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	return notEmpty(text)
}

func notEmpty(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("the passphrase is empty: choose one")
	}
	return passphrase, nil
}
