package main

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// The journal is JSON lines. The first line is the header; every other one holds
// one of signed, done and dropped. Each line ends with a MAC over what stands
// before it, so that a changed byte is noticed; what is read is written anew
// and compared, so that a line has one spelling.
//
//	{"journal":1,"network":HEX,"key":HEX,"mac":HEX}
//	{"signed":BASE64,"contents":[HEX...],"mac":HEX}
//	{"done":[{"series":CODE,"content":HEX,"commitment":HEX,"index":N}...],"mac":HEX}
//	{"dropped":HEX,"mac":HEX}

type journalHeader struct {
	Journal int    `json:"journal"`
	Network string `json:"network"`
	Key     string `json:"key"`
}

type journalLine struct {
	Signed   string     `json:"signed,omitempty"`   // the transaction
	Contents []string   `json:"contents,omitempty"` // of its items
	Done     []doneItem `json:"done,omitempty"`
	Dropped  string     `json:"dropped,omitempty"` // SHA-256 of the transaction
}

type doneItem struct {
	Series     string `json:"series"`
	Content    string `json:"content"`
	Commitment string `json:"commitment"`
	Index      uint64 `json:"index"`
}

const (
	macField   = `,"mac":"`
	macBytes   = 16
	macTail    = len(macField) + 2*macBytes + len("\"}\n")
	linesADone = 500 // records in one done line of a compacted journal
)

// line encodes a value and adds the MAC.
func (j *journal) line(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic("muniment: " + err.Error()) // strings and numbers always have a JSON form
	}
	text = text[:len(text)-1] // the closing brace
	sum := j.mac("muniment/v1/journal/line\n", text)[:macBytes]
	return fmt.Appendf(text, "%s%x\"}\n", macField, sum)
}

func (j *journal) header(network record.Network) []byte {
	return j.line(journalHeader{Journal: 1, Network: hex.EncodeToString(network[:]), Key: hex.EncodeToString(j.key[:])})
}

func (j *journal) signedLine(b *pending) []byte {
	line := journalLine{Signed: base64.StdEncoding.EncodeToString(b.raw)}
	for _, c := range b.contents {
		line.Contents = append(line.Contents, hex.EncodeToString(c[:]))
	}
	return j.line(line)
}

func (j *journal) doneLine(b *pending, items map[int]uint64) []byte {
	var line journalLine
	for _, i := range slices.Sorted(maps.Keys(items)) {
		k := b.keep(i)
		k.index = items[i]
		line.Done = append(line.Done, newDoneItem(b.slot(i), *k))
	}
	return j.line(line)
}

func newDoneItem(s slot, k kept) doneItem {
	return doneItem{Series: string(s.series), Content: hex.EncodeToString(s.content[:]),
		Commitment: hex.EncodeToString(k.commitment[:]), Index: k.index}
}

func (j *journal) droppedLine(id [32]byte) []byte {
	return j.line(journalLine{Dropped: hex.EncodeToString(id[:])})
}

// compacted writes what is known as a file without anything dead in it.
func (j *journal) compacted(network record.Network) []byte {
	text := j.header(network)
	var all []doneItem
	for s, k := range j.done {
		all = append(all, newDoneItem(s, k))
	}
	slices.SortFunc(all, func(a, b doneItem) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Series, b.Series), cmp.Compare(a.Content, b.Content))
	})
	for part := range slices.Chunk(all, linesADone) {
		text = append(text, j.line(journalLine{Done: part})...)
	}
	for _, b := range j.pending {
		text = append(text, j.signedLine(b)...)
	}
	return text
}

// read takes in the text of a journal and gives the length of its whole lines.
// What follows the last line end is a line that was cut off while it was
// written: nothing that it says was done.
func (j *journal) read(network record.Network, text []byte) (whole int, err error) {
	for number := 1; whole < len(text); number++ {
		end := bytes.IndexByte(text[whole:], '\n') + 1
		if end == 0 {
			if number == 1 || !isCutOff(text[whole:]) {
				return 0, fmt.Errorf("%w: line %d is not one", errJournal, number)
			}
			break
		}
		line := text[whole : whole+end]
		if number == 1 {
			err = j.readHeader(network, line)
		} else {
			err = j.readLine(line)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: line %d: %w", errJournal, number, err)
		}
		whole += end
	}
	if whole == 0 {
		return 0, fmt.Errorf("%w: it is empty", errJournal)
	}
	return whole, nil
}

// isCutOff tells a line that was cut off from a whole one whose line end was
// changed: that one still carries its MAC.
func isCutOff(tail []byte) bool {
	at := bytes.LastIndex(tail, []byte(macField))
	return at < 0 || len(tail)-at < macTail
}

// unsealed checks the MAC of a line and gives the JSON text before it.
func (j *journal) unsealed(line []byte) ([]byte, error) {
	if len(line) <= macTail {
		return nil, fmt.Errorf("%d bytes", len(line))
	}
	text := line[:len(line)-macTail]
	sum := j.mac("muniment/v1/journal/line\n", text)[:macBytes]
	if !hmac.Equal(line[len(text):], fmt.Appendf(nil, "%s%x\"}\n", macField, sum)) {
		return nil, fmt.Errorf("it was changed")
	}
	return append(slices.Clone(text), '}'), nil
}

func (j *journal) readHeader(network record.Network, line []byte) error {
	if len(line) <= macTail {
		return fmt.Errorf("%d bytes", len(line))
	}
	var h journalHeader
	if err := json.Unmarshal(append(slices.Clone(line[:len(line)-macTail]), '}'), &h); err != nil {
		return err
	}
	if err := unhex(j.key[:], h.Key); err != nil {
		return err
	}
	if h.Network != hex.EncodeToString(network[:]) || !bytes.Equal(j.header(network), line) {
		return fmt.Errorf("it is not the header of this network's journal, or was changed")
	}
	return nil
}

func (j *journal) readLine(line []byte) error {
	text, err := j.unsealed(line)
	if err != nil {
		return err
	}
	var l journalLine
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	if !bytes.Equal(j.line(l), line) {
		return fmt.Errorf("it is not in its one spelling")
	}
	switch {
	case l.Signed != "" && len(l.Done) == 0 && l.Dropped == "":
		return j.readSigned(l)
	case len(l.Done) > 0 && l.Signed == "" && len(l.Contents) == 0 && l.Dropped == "":
		return j.readDone(l.Done)
	case l.Dropped != "" && l.Signed == "" && len(l.Contents) == 0 && len(l.Done) == 0:
		return j.readDropped(l.Dropped)
	}
	return fmt.Errorf("it says none of signed, done and dropped, or several")
}

func (j *journal) readSigned(l journalLine) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(l.Signed)
	if err != nil {
		return err
	}
	contents := make([]fingerprint32, len(l.Contents))
	for i, c := range l.Contents {
		if err := unhex(contents[i][:], c); err != nil {
			return err
		}
	}
	b, err := newPending(raw, contents)
	if err != nil {
		return err
	}
	same := func(other *pending) bool { return bytes.Equal(other.raw, raw) }
	for i, item := range b.message.Items {
		if j.done[b.slot(i)].commitment == item.Commitment {
			delete(b.open, item.Commitment)
		}
	}
	if len(b.open) > 0 && !slices.ContainsFunc(j.pending, same) {
		j.pending = append(j.pending, b)
	}
	return nil
}

func (j *journal) readDone(items []doneItem) error {
	for _, item := range items {
		s, k := slot{series: record.Code(item.Series)}, kept{index: item.Index}
		if err := unhex(s.content[:], item.Content); err != nil {
			return err
		}
		if err := unhex(k.commitment[:], item.Commitment); err != nil {
			return err
		}
		j.noteDone(s, k)
	}
	return nil
}

func (j *journal) readDropped(text string) error {
	var id [32]byte
	if err := unhex(id[:], text); err != nil {
		return err
	}
	for _, b := range slices.Clone(j.pending) {
		if b.id() == id {
			j.forget(b)
		}
	}
	return nil
}

// unhex reads exactly as many bytes of lower-case hex as dst has.
func unhex(dst []byte, text string) error {
	if !isHex(text, len(dst)) {
		return fmt.Errorf("%d bytes of hex were expected", len(dst))
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}
