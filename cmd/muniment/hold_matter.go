package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// matterDomain begins what the commitment of a matter hashes, and the file that
// opens it.
const matterDomain = "muniment/v1/matter\n"

// maxMatterBytes bounds the text of a matter.
const maxMatterBytes = 64 << 10

// opening opens the commitment of a hold's matter. It stays with the office.
type opening struct {
	salt [32]byte
	text []byte
}

// newOpening draws a salt, so that two holds of one matter cannot be seen to
// belong together.
func newOpening(text []byte) opening {
	o := opening{text: text}
	rand.Read(o.salt[:]) // never fails
	return o
}

// commitment is SHA-256("muniment/v1/matter\n" || salt || text).
func (o opening) commitment() [32]byte {
	h := sha256.New()
	io.WriteString(h, matterDomain)
	h.Write(o.salt[:])
	h.Write(o.text)
	return [32]byte(h.Sum(nil))
}

// marshal is the domain, a line with the salt in hex, and the text as it is.
func (o opening) marshal() []byte {
	return fmt.Appendf(nil, "%s%x\n%s", matterDomain, o.salt, o.text)
}

// errOpening: a file does not open a matter.
var errOpening = errors.New("it is no opening of a matter")

func parseOpening(data []byte) (opening, error) {
	rest, ok := bytes.CutPrefix(data, []byte(matterDomain))
	salt, text, more := bytes.Cut(rest, []byte("\n"))
	raw, err := hex.DecodeString(string(salt))
	if !ok || !more || err != nil || len(raw) != 32 || !matterText(text) {
		return opening{}, errOpening
	}
	o := opening{salt: [32]byte(raw), text: text}
	if !bytes.Equal(o.marshal(), data) {
		return opening{}, errOpening
	}
	return o, nil
}

func matterText(text []byte) bool {
	return len(text) > 0 && len(text) <= maxMatterBytes && utf8.Valid(text)
}

// write makes the file that opens the matter, of mode 0600, and replaces none.
func (o opening) write(file string) error {
	err := createFile(file, o.marshal())
	if errors.Is(err, fs.ErrExist) {
		return failed(exitRefused, "FILE_EXISTS", "name another file with --opening FILE", "%s is there already", printable(file))
	}
	if err != nil {
		return fmt.Errorf("write opening: %w", err)
	}
	return nil
}

// removeOpening takes back what opens a hold that was never placed. One that
// stays by accident does no harm.
func removeOpening(file string) { os.Remove(file) }

// openingFile is where the opening of a matter is kept: beside the journal.
func (p *program) openingFile(s *session, matter [32]byte) string {
	return filepath.Join(p.journalDir(s), "matters", hex.EncodeToString(matter[:])+".opening")
}

// matterOptions is what the command line says of a matter.
type matterOptions struct{ text, file, opening string }

func (m *matterOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&m.text, "matter", "", "the matter, in words that the office will recognise")
	c.Flags().StringVar(&m.file, "matter-file", "", "file with the matter; - is standard input")
	c.Flags().StringVar(&m.opening, "opening", "", "new file for the matter and its salt (default: beside the journal)")
}

// read gives the text of the matter.
func (m *matterOptions) read(p *program) ([]byte, error) {
	if (m.text == "") == (m.file == "") {
		return nil, usage("which matter is it? give --matter TEXT or --matter-file FILE")
	}
	text := []byte(m.text)
	if m.file != "" {
		var err error
		if text, err = p.readInput(m.file, maxMatterBytes); err != nil {
			return nil, fmt.Errorf("read matter: %w", err)
		}
	}
	if !matterText(text) {
		return nil, usage("a matter is text of 1 to %d bytes", maxMatterBytes)
	}
	return text, nil
}

// readInput reads a file, or standard input for "-", of at most limit bytes.
func (p *program) readInput(file string, limit int64) ([]byte, error) {
	if file != fromStdin {
		return readBounded(file, limit)
	}
	data, err := io.ReadAll(io.LimitReader(p.stdin, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("standard input has more than %d bytes", limit)
	}
	return data, err
}

func (p *program) holdMatterCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "matter HOLD [--opening FILE]", Short: "Check that a file opens the matter of a hold, and show the matter",
		Long: "The matter of a hold is proven by the hold's own signed transaction: its receipt is fetched and verified, and the\n" +
			"opening must hash to what was signed.",
		Args: exactly(1, "one hold"),
	}
	c.Flags().StringVar(&file, "opening", "", "file with the matter and its salt (default: beside the journal)")
	c.RunE = func(c *cobra.Command, args []string) error {
		hold, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		matter, err := s.matterOf(c.Context(), uint64(hold))
		if err != nil {
			return err
		}
		if file == "" {
			file = p.openingFile(s, matter)
		}
		data, err := readBounded(file, maxMatterBytes+1024)
		if errors.Is(err, fs.ErrNotExist) {
			return failed(exitNotFound, "NO_SUCH_FILE", "name it with --opening FILE", "there is no file %s", printable(file))
		}
		if err != nil {
			return fmt.Errorf("read opening: %w", err)
		}
		return p.showMatter(hold, matter, file, data)
	}
	return c
}

func (p *program) showMatter(hold record.Index, matter [32]byte, file string, data []byte) error {
	o, err := parseOpening(data)
	if err != nil {
		return failed(exitContradicted, "OTHER_MATTER", "", "%s: %w", printable(file), err)
	}
	if o.commitment() != matter {
		return failed(exitContradicted, "OTHER_MATTER", "", "%s opens the matter of another hold", printable(file))
	}
	result := struct {
		Hold   record.Index `json:"hold"`
		Matter string       `json:"matter"` // commitment in hex
		Text   string       `json:"text"`
	}{hold, hex.EncodeToString(matter[:]), string(o.text)}
	if p.output == "json" {
		return p.show(result, nil)
	}
	for line := range strings.Lines(string(o.text)) {
		if _, err := fmt.Fprintln(p.stdout, printable(strings.TrimRight(line, "\r\n"))); err != nil {
			return err
		}
	}
	p.say("%s opens the matter of hold %d", printable(file), hold)
	return nil
}

// matterOf gives the commitment of a hold's matter as it was signed.
func (s *session) matterOf(ctx context.Context, hold uint64) ([32]byte, error) {
	verdict, text, err := s.receipt(ctx, hold)
	if err != nil {
		return [32]byte{}, err
	}
	if m, ok := signedMessage(verdict, text).(*record.PlaceHold); ok {
		return m.Matter, nil
	}
	return [32]byte{}, failed(exitNotFound, "NOT_FOUND", "muniment hold list lists the holds", "entry %d places no hold", hold)
}

// signedMessage gives the message that a verified receipt shows to have been
// signed; nil where it shows none.
func signedMessage(v receipt.Verdict, text []byte) record.Message {
	parsed, err := receipt.Parse(text)
	if err != nil || v.Signed == nil || !v.Signed.InBody {
		return nil
	}
	for _, leaf := range parsed.Leaves {
		if leaf.Index != v.Signed.TxIndex {
			continue
		}
		e, err := record.ParseEntry(leaf.Entry)
		if err != nil {
			return nil
		}
		if tx, ok := e.(record.TxEntry); ok {
			m, err := record.ParseBody(tx.Body)
			if err != nil {
				return nil
			}
			return m
		}
	}
	return nil
}
