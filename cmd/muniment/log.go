package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
)

// tilesPort is where a node serves the log if its configuration says nothing else.
const tilesPort = "7451"

func (p *program) logCommand() *cobra.Command {
	return group("log", "Mirror the log, so that it can be replayed", p.logMirrorCommand())
}

func (p *program) logMirrorCommand() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use: "mirror DIR", Short: "Copy the whole log into a folder, or what is new of it",
		Long: "Copies checkpoint, hashes and entries as C2SP tlog-tiles and verifies that they are the tree that the network\n" +
			"cosigned. The same command again fetches what is new, and goes on where it was cut off. A log that is not the\n" +
			"continuation of the one in DIR is refused. muniment-verify replay then carries out the whole log anew, offline.\n\n" +
			"The log is served by a listener of its own (tiles.listen of the node): --tiles says where it is, if not at port " + tilesPort + ".",
		Example: "  muniment log mirror city-log\n  muniment-verify replay --network network.mun city-log",
		Args:    exactly(1, "one folder"),
	}
	c.Flags().StringVar(&address, "tiles", "", "host and port where the node serves the log (default: port "+tilesPort+" of its host)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return usage("tiles address %q: use HOST:PORT", address)
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		if address == "" {
			host, _, err := net.SplitHostPort(s.node.Address)
			if err != nil {
				return err
			}
			address = net.JoinHostPort(host, tilesPort)
		}
		m := &mirroring{tileSource: &tileSource{session: s, address: address}, dir: args[0]}
		standing, was, err := m.run(c.Context())
		if err != nil {
			return err
		}
		return p.showMirror(args[0], standing, was)
	}
	return c
}

// mirrorResult is what log mirror prints.
type mirrorResult struct {
	Dir       string `json:"dir"`
	Size      int64  `json:"size"` // entries
	New       int64  `json:"new"`  // of them were not there before
	Root      string `json:"root"` // base64
	Grade     string `json:"grade"`
	Cosigners string `json:"cosigners"`
}

func (p *program) showMirror(dir string, s receipt.Standing, was int64) error {
	c := s.Checkpoint
	result := mirrorResult{Dir: dir, Size: c.Size, New: c.Size - was, Root: base64.StdEncoding.EncodeToString(c.Root[:]), Grade: s.Grade,
		Cosigners: fmt.Sprintf("%d of %d validators", len(s.Validators), s.OfValidators)}
	err := p.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d entries, %d of them new\nroot\t%s\ngrade\t%s, %s\n", printable(dir), result.Size, result.New, result.Root, result.Grade, result.Cosigners)
	})
	if err == nil {
		p.say("next: muniment-verify replay --network FILE %s", printable(dir))
	}
	return err
}
