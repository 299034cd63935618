package commitment

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	minValue  = 3    // characters of a value that is looked for
	maxValue  = 1024 // bytes of it that are looked for: its beginning
	minLine   = 16   // bytes of a line of a hidden paragraph that is looked for
	minDigits = 7    // digits of a number in a hidden paragraph that is looked for

	minRowDigits = 5 // likewise in a hidden row

	// A value of a row that stands in more segments than fewSegments is a common
	// word, and so is any other that stands in more of them and in more than one
	// of commonShare, unless it was asked for as text or is an e-mail address.
	fewSegments = 16
	commonShare = 50
)

// value is one thing that an ask hides.
type value struct {
	text  string // as it stands, trimmed
	ask   int
	limit limit
}

// limit says from where on a value is too common to tell anything.
type limit uint8

const (
	noLimit  limit = iota
	oftenOut       // more than fewSegments and 1 in commonShare
	fewOut         // more than fewSegments
	onlyHash       // not looked for at all; its digests are
)

// values are what asks hide, each once.
type values struct {
	list []value
	at   map[string]int // of each text in list
}

// add adds a value. One that was there keeps its ask, and the looser limit.
func (v *values) add(text string, ask int, l limit) {
	if text == "" {
		return
	}
	if at, again := v.at[text]; again {
		v.list[at].limit = min(v.list[at].limit, l)
		return
	}
	if v.at == nil {
		v.at = map[string]int{}
	}
	v.at[text] = len(v.list)
	v.list = append(v.list, value{text, ask, l})
}

// addValues adds what the leaves that an ask names hide: for a text the words,
// else what each segment says.
func (pl *planner) addValues(hidden *values, ask Ask, n int, leaves []int) {
	quoted, isText := strings.CutPrefix(ask.Selector, "text ")
	add := func(text string, l limit) {
		if isText {
			l = onlyHash
		}
		hidden.add(trimValue(text), n, l)
		hidden.add(text, n, onlyHash)
	}
	if isText {
		words, _ := strconv.Unquote(quoted) // Locate has read it
		hidden.add(trimValue(words), n, noLimit)
		hidden.add(words, n, onlyHash)
	}
	for _, leaf := range leaves {
		payload := pl.segs[leaf].Payload
		if len(payload) == 0 {
			continue
		}
		switch m := pl.marks[leaf]; m.noun {
		case nounCell:
			pl.cellValues(payload, add)
		case nounRow:
			pl.rowValues(payload, add)
		case nounValue:
			jsonValues(payload, add)
		case nounHeader:
			headerValues(payload, add)
		case nounParagraph:
			paragraphValues(payload, add)
		}
		if _, again := hidden.at[string(payload)]; !again { // without a copy of it
			hidden.add(string(payload), n, onlyHash)
		}
	}
}

// delimiter gives the delimiter of a table.
func (pl *planner) delimiter() byte {
	if d, err := parseCSV(pl.profile); err == nil {
		return d
	}
	d, _, _ := parseCSVCells(pl.profile)
	return d
}

func (pl *planner) cellValues(payload []byte, add func(string, limit)) {
	cell := cellText(payload, pl.delimiter())
	add(cell, oftenOut)
	addAddresses(cell, add)
}

// cellText takes the line end or delimiter, white space and quotes off a field.
func cellText(payload []byte, delimiter byte) string {
	text := bytes.TrimPrefix(payload, byteOrderMark)
	if cut := bytes.TrimRight(text, "\r\n"); len(cut) < len(text) {
		text = cut
	} else {
		text = bytes.TrimSuffix(text, []byte{delimiter})
	}
	text = bytes.TrimSpace(text)
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	return string(bytes.TrimSpace(text))
}

// rowValues takes a row apart. Dates and short numbers in it are left out: rows
// have them in common by chance.
func (pl *planner) rowValues(payload []byte, add func(string, limit)) {
	scan, err := newCSVScanner(payload, pl.delimiter())
	if err != nil {
		return // a piece of a row
	}
	for scan.at < len(payload) {
		start := scan.at
		if _, err := scan.cell(); err != nil {
			return
		}
		field := cellText(payload[start:scan.at], pl.delimiter())
		if digits, letters := countDigits(field); letters || digits >= minRowDigits && !beginsAsDate(field) {
			add(field, fewOut)
		}
		addAddresses(field, add)
	}
}

// beginsAsDate reports whether text begins with a date: three numbers of at most
// four digits, two of them of at most two, with / - or . between.
func beginsAsDate(text string) bool {
	day, _, _ := strings.Cut(text, " ")
	day, _, _ = strings.Cut(day, "T")
	parts := strings.FieldsFunc(day, func(r rune) bool { return r == '/' || r == '-' || r == '.' })
	short := 0
	for _, part := range parts {
		if digits, letters := countDigits(part); letters || digits != len(part) || digits > 4 {
			return false
		} else if digits <= 2 {
			short++
		}
	}
	return len(parts) == 3 && short >= 2
}

// countDigits counts the digits of text, and tells whether it has letters.
func countDigits(text string) (digits int, letters bool) {
	for _, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case isWordByte(c):
			letters = true
		}
	}
	return digits, letters
}

func jsonValues(payload []byte, add func(string, limit)) {
	switch payload[0] {
	case 't', 'f', 'n':
		return // true, false and null say nothing by themselves
	case '"':
		raw := strings.Trim(string(payload), `"`)
		add(raw, oftenOut)
		addAddresses(raw, add)
		var plain string
		if strings.IndexByte(raw, '\\') >= 0 && json.Unmarshal(payload, &plain) == nil {
			add(plain, oftenOut)
		}
	default:
		add(string(payload), oftenOut)
	}
}

// replyMarks are what mail programs put before a subject, in lower case.
var replyMarks = []string{"re", "fw", "fwd", "aw", "wg"}

// headerValues takes a header field apart: its value, the addresses in it, and the
// names before them. What a field says of the mail's own form is nobody's secret.
func headerValues(payload []byte, add func(string, limit)) {
	name := strings.ToLower(string(fieldName(payload)))
	_, body, found := strings.Cut(string(payload), ":")
	if !found || name == "mime-version" || strings.HasPrefix(name, "content-") {
		return
	}
	body = strings.TrimSpace(body)
	for cut := true; cut && name == "subject"; {
		before, after, colon := strings.Cut(body, ":")
		cut = colon && slices.Contains(replyMarks, strings.ToLower(strings.TrimSpace(before)))
		if cut {
			body = strings.TrimSpace(after)
		}
	}
	add(body, oftenOut)
	addAddresses(body, add)
	for _, one := range strings.FieldsFunc(body, func(r rune) bool { return r == ',' || r == ';' }) {
		if named, _, ok := strings.Cut(one, "<"); ok {
			add(named, oftenOut)
		}
	}
}

// paragraphValues gives the long lines of a paragraph, since a mail quotes others
// line by line, and what identifies by its form: addresses and long numbers.
func paragraphValues(payload []byte, add func(string, limit)) {
	text := string(payload)
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, "> \t\r\n"); len(line) >= minLine {
			add(line, oftenOut)
		}
	}
	addAddresses(text, add)
	for _, number := range strings.FieldsFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '.' }) {
		number = strings.Trim(number, "-.")
		if digits, _ := countDigits(number); digits >= minDigits && !beginsAsDate(number) {
			add(number, oftenOut)
		}
	}
}

// addAddresses adds the e-mail addresses in text.
func addAddresses(text string, add func(string, limit)) {
	for at := strings.IndexByte(text, '@'); at >= 0; {
		from, to := at, at+1
		for from > 0 && isAddressByte(text[from-1]) {
			from--
		}
		for to < len(text) && isAddressByte(text[to]) {
			to++
		}
		if domain := strings.TrimRight(text[at+1:to], "."); from < at && strings.IndexByte(domain, '.') > 0 {
			add(text[from:at+1]+domain, noLimit)
		}
		next := strings.IndexByte(text[at+1:], '@')
		if next < 0 {
			return
		}
		at += 1 + next
	}
}

func isAddressByte(c byte) bool {
	return isWordByte(c) || strings.IndexByte("._%+-'", c) >= 0
}

// isWordByte reports whether c is part of a word: an ASCII letter or digit, or a
// byte of any other character.
func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
}

// trimValue takes white space, quotes, delimiters and brackets off both ends.
func trimValue(text string) string {
	return strings.Trim(text, " \t\r\n\"'`,;:|.<>()[]{}")
}
