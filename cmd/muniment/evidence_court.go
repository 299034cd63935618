package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
)

// writeCourt writes beside a bundle the attestations that a court may ask for,
// with what is known of the bundle filled in. No file name: none is wanted.
func (p *program) writeCourt(file, bundle string, car []byte, a anchored, o commitment.Opened, receipts int) error {
	if file == "" {
		return nil
	}
	const second = "2006-01-02T15:04:05Z"
	hidden := "whole: it is the original, byte for byte"
	if !o.Complete() {
		hidden = fmt.Sprintf("in part: %d of %d segments; what is disclosed is of the original", len(o.Leaves), o.N)
	}
	entered := ""
	if a.verdict.NotBefore != nil && a.verdict.NotAfter != nil {
		entered = fmt.Sprintf("between %s and %s", a.verdict.NotBefore.Time.UTC().Format(second), a.verdict.NotAfter.Time.UTC().Format(second))
	}
	program, err := digestOfProgram()
	if err != nil {
		p.say("the digest of this program is left blank: %v", err)
	}
	text := fmt.Sprintf("EVIDENCE FOR A COURT\n\nThis page goes with the file named in part D. Anybody who has the network\n"+
		"file can check that file: muniment-verify --network NETWORK.mun FILE\n") + receipt.Attestation{
		Of: "a bundle of a record and its receipts", Record: fmt.Sprintf("record %d of %s, series %s", a.index, a.entry.Office, a.entry.Series), Commitment: a.commitment().CID(),
		Copy: printable(filepath.Base(bundle)), Digest: sha256.Sum256(car), Entered: entered, Received: p.now().UTC().Format(second), Software: "muniment " + version(), Program: program,
		Compared: fmt.Sprintf("the copy matches the commitment, %s; %s verified", hidden, counted(receipts, "receipt")),
	}.Text()
	if err := p.deliver(file, []byte(text)); err != nil {
		return err
	}
	p.say("attestations to be completed and sworn to are in %s", printable(file))
	return nil
}

// digestOfProgram gives SHA-256 of the program that runs, in hex.
func digestOfProgram() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
