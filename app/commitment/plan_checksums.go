package commitment

import (
	"bytes"
	"crypto/fips140"
	"crypto/md5"  // to find digests that others made, not to rely on
	"crypto/sha1" // likewise
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// checksums finds what holds a digest of what is hidden, and what is named as if
// it did: the cells of such columns in rows of which something is hidden, and the
// members of such names in the objects that hold something hidden.
func (pl *planner) checksums(hidden []value) {
	pl.knownDigests(hidden)
	pl.signatures()
	if _, _, err := parseCSVCells(pl.profile); err == nil {
		pl.checksumColumns()
	}
	if pl.profile == JSON {
		pl.checksumMembers()
	}
}

// knownDigests looks for digests of the hidden values and segments, of the rows
// that hold them, and of the whole content.
func (pl *planner) knownDigests(hidden []value) {
	known := digests{}
	for _, v := range hidden {
		forms := []string{v.text, strings.TrimSpace(v.text), strings.TrimRight(v.text, "\r\n"), strings.ToLower(v.text)}
		for i, form := range forms {
			if !slices.Contains(forms[:i], form) {
				known.add([]byte(form))
			}
		}
	}
	pl.rowsWithHidden(known.add)
	var content [][]byte
	for i, s := range pl.segs {
		if s.Kind == Content {
			content = append(content, s.Payload)
			if pl.found[i].because == becauseSameText {
				known.add(s.Payload)
				known.add(bytes.TrimSpace(s.Payload))
			}
		}
	}
	known.add(content...)
	for i, s := range pl.segs {
		if (s.Kind == Content || s.Kind == Metadata) && pl.found[i].because == becauseNot && known.stand(s.Payload) {
			pl.find(i, becauseChecksum, 0)
		}
	}
}

// signatures finds signatures that stand in text: of OpenPGP, up to the line that
// ends them, and of XML.
func (pl *planner) signatures() {
	inside := false
	for i, s := range pl.segs {
		if s.Kind != Content {
			continue
		}
		inside = inside || bytes.Contains(s.Payload, []byte("-----BEGIN PGP SIGNATURE-----"))
		if inside || bytes.Contains(s.Payload, []byte("DigestValue>")) || bytes.Contains(s.Payload, []byte("SignatureValue>")) {
			pl.find(i, becauseChecksum, 0)
		}
		inside = inside && !bytes.Contains(s.Payload, []byte("-----END PGP SIGNATURE-----"))
	}
}

// rowsWithHidden gives the rows of cells of which something is hidden: as they
// stand, without the line end, without the last cell, and without the first.
func (pl *planner) rowsWithHidden(add func(...[]byte)) {
	_, columns, err := parseCSVCells(pl.profile)
	if err != nil {
		return
	}
	positions := contentPositions(pl.segs)
	for first := 0; first+columns <= len(positions); first += columns {
		row := positions[first : first+columns]
		if !slices.ContainsFunc(row, pl.hides) || hasGap(pl.segs, row) {
			continue
		}
		var cells [][]byte
		for _, leaf := range row {
			cells = append(cells, pl.segs[leaf].Payload)
		}
		whole := bytes.Join(cells, nil)
		bare := bytes.TrimRight(whole, "\r\n")
		add(whole)
		add(bare)
		add(bare[min(len(cells[0]), len(bare)):])
		head := whole[:len(whole)-len(cells[columns-1])]
		add(head)
		add(bytes.TrimSuffix(head, []byte{pl.delimiter()}))
	}
}

// digests is a set of digests: MD5, SHA-1, SHA-256 and CRC-32.
type digests map[string]bool

// add adds the digests of the parts, joined.
func (d digests) add(parts ...[]byte) {
	sums, check := sha256.New(), crc32.NewIEEE()
	size := 0
	for _, part := range parts {
		sums.Write(part)
		check.Write(part)
		size += len(part)
	}
	if size == 0 {
		return
	}
	d[string(sums.Sum(nil))] = true
	d[string(check.Sum(nil))] = true
	fips140.WithoutEnforcement(func() {
		five, one := md5.New(), sha1.New()
		for _, part := range parts {
			five.Write(part)
			one.Write(part)
		}
		d[string(five.Sum(nil))] = true
		d[string(one.Sum(nil))] = true
	})
}

// stand reports whether one of the digests stands in text: in hexadecimal, in
// base64 of either alphabet, or, of a CRC-32, in decimal.
func (d digests) stand(text []byte) bool {
	for start := 0; start < len(text); start++ {
		if !isBase64(text[start]) {
			continue
		}
		end := start
		for end < len(text) && isBase64(text[end]) {
			end++
		}
		if d.inRun(text[start:end]) {
			return true
		}
		start = end
	}
	return false
}

func isBase64(c byte) bool {
	return c < 0x80 && isWordByte(c) || c == '+' || c == '/' || c == '-' || c == '_'
}

// inRun looks into a run of characters of base64: each run of hexadecimal digits
// in it, and the end of it.
func (d digests) inRun(run []byte) bool {
	for start := 0; start < len(run); start++ {
		end := start
		for end < len(run) && isHex(run[end]) {
			end++
		}
		if n := end - start; n == 8 || n == 32 || n == 40 || n == 64 {
			sum := make([]byte, n/2)
			hex.Decode(sum, run[start:end]) // they are hexadecimal digits
			if d[string(sum)] {
				return true
			}
		}
		if n := end - start; n > 0 && n <= 10 {
			if number, err := strconv.ParseUint(string(run[start:end]), 10, 32); err == nil &&
				d[string(binary.BigEndian.AppendUint32(nil, uint32(number)))] {
				return true
			}
		}
		start = end
	}
	for _, n := range []int{22, 27, 43} { // base64 of 16, 20 and 32 bytes
		if len(run) < n {
			break
		}
		tail := run[len(run)-n:]
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if sum, err := encoding.DecodeString(string(tail)); err == nil && d[string(sum)] {
				return true
			}
		}
	}
	return false
}

// checksumColumns finds the cells under a header that names a checksum.
func (pl *planner) checksumColumns() {
	named := map[int]bool{}  // columns
	hidden := map[int]bool{} // rows
	for i, m := range pl.marks {
		if m.noun != nounCell {
			continue
		}
		if m.number == 1 && isChecksumName(cellText(pl.segs[i].Payload, pl.delimiter())) {
			named[m.column] = true
		}
		if pl.hides(i) {
			hidden[m.number] = true
		}
	}
	if len(named) == 0 {
		return
	}
	for i, m := range pl.marks {
		if m.noun == nounCell && m.number > 1 && named[m.column] && hidden[m.number] {
			pl.find(i, becauseChecksum, 0)
		}
	}
}

// checksumFrame is an open array or object on the way of checksumMembers.
type checksumFrame struct {
	hides   bool  // holds something hidden
	named   bool  // is itself the value of a member named as a checksum
	next    bool  // the next value is that of a member named as a checksum
	members []int // leaves of such members
}

// checksumMembers finds the members that are named as checksums, in every object
// that holds something hidden, at whatever depth.
func (pl *planner) checksumMembers() {
	positions := contentPositions(pl.segs)
	content, whole := join(contentOf(pl.segs, positions))
	if !whole {
		return
	}
	scan, err := newJSONScanner(content)
	if err != nil {
		return
	}
	frames := []checksumFrame{{}}
	end := 0 // of the segments before positions[0]
	for {
		token, err := scan.next()
		if err != nil || token.kind == jsonEnd {
			return
		}
		top := &frames[len(frames)-1]
		switch token.kind {
		case jsonName:
			var name string
			top.next = json.Unmarshal(content[token.start:token.end], &name) == nil && isChecksumName(name)
		case jsonOpen:
			frames = append(frames, checksumFrame{named: top.named || top.next})
			top.next = false
		case jsonClose:
			frames = frames[:len(frames)-1]
			frames[len(frames)-1].take(*top, pl)
		case jsonScalar:
			for end+len(pl.segs[positions[0]].Payload) <= token.start {
				end += len(pl.segs[positions[0]].Payload)
				positions = positions[1:]
			}
			top.hides = top.hides || pl.hides(positions[0])
			if top.named || top.next {
				top.members = append(top.members, positions[0])
			}
			top.next = false
		}
	}
}

// take ends an array or object within f.
func (f *checksumFrame) take(inner checksumFrame, pl *planner) {
	f.hides = f.hides || inner.hides
	switch {
	case inner.hides:
		for _, leaf := range inner.members {
			pl.find(leaf, becauseChecksum, 0)
		}
	case inner.named:
		f.members = append(f.members, inner.members...)
	}
}

// checksumWords end or begin a word that names a checksum.
var checksumWords = []string{"checksum", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "crc16", "crc32", "crc64"}

// isChecksumName reports whether a column or member is named as a checksum:
// whether one of its words is, as in row_hash, fileMD5 or sha256sum.
func isChecksumName(name string) bool {
	var words []string
	word := []rune{}
	lower := false
	for _, r := range name + " " {
		split := !unicode.IsLetter(r) && !unicode.IsDigit(r)
		if split || lower && unicode.IsUpper(r) {
			words, word = append(words, strings.ToLower(string(word))), word[:0]
		}
		if lower = unicode.IsLower(r); !split {
			word = append(word, r)
		}
	}
	return slices.ContainsFunc(words, func(word string) bool {
		if slices.Contains([]string{"hash", "hashes", "crc", "sha", "digest", "etag", "hmac", "fingerprint"}, word) || strings.HasSuffix(word, "hash") {
			return true
		}
		return slices.ContainsFunc(checksumWords, func(part string) bool {
			return strings.HasPrefix(word, part) || strings.HasSuffix(word, part)
		})
	})
}
