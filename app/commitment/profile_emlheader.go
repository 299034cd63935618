package commitment

import (
	"bytes"
	"slices"
	"strings"
)

const (
	textPlain     = "text/plain"
	messageRFC822 = "message/rfc822"

	maxBoundary     = 70      // bytes of a boundary, RFC 2046 section 5.1.1
	maxBoundaryTail = 256     // bytes after the delimiter on a boundary line
	maxTypeField    = 8 << 10 // bytes of a Content-Type field that is read
)

// oracleFields are header fields whose value is a digest or signature of other
// parts of the mail, in lower case and sorted. Fields that begin with "arc-" and
// some Received fields belong to them too: isOracleField.
var oracleFields = []string{
	"content-digest",
	"content-md5",
	"digest",
	"dkim-signature",
	"domainkey-signature",
	"repr-digest",
	"x-content-md5",
	"x-dkim-signature",
	"x-google-dkim-signature",
	"x-pgp-sig",
	"x-ses-dkim-signature",
}

// signatureTypes are media types of bodies that sign another part, sorted.
var signatureTypes = []string{
	"application/pgp-signature",
	"application/pkcs7-signature",
	"application/x-pkcs7-signature",
}

// minReceivedHash is how many hexadecimal digits in a row make a Received field
// one that holds a digest: 32 are an MD5.
const minReceivedHash = 32

// isOracleField reports whether the rest of the mail could be guessed from the field.
func isOracleField(name, value []byte) bool {
	lower := strings.ToLower(string(name[:min(len(name), 64)]))
	if _, found := slices.BinarySearch(oracleFields, lower); found {
		return true
	}
	return strings.HasPrefix(lower, "arc-") || lower == "received" && hasHash(value)
}

// hasHash reports whether value holds minReceivedHash hexadecimal digits in a row.
func hasHash(value []byte) bool {
	run := 0
	for _, c := range value {
		if run++; !isHex(c) {
			run = 0
		}
		if run == minReceivedHash {
			return true
		}
	}
	return false
}

// fieldName returns the name of the header field that begins line, nil if none
// does: visible ASCII but the colon, then blanks, then the colon (RFC 5322
// sections 2.2 and 4.5.8).
func fieldName(line []byte) []byte {
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	colon := n
	for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') {
		colon++
	}
	if n == 0 || colon == len(line) || line[colon] != ':' {
		return nil
	}
	return line[:n]
}

// mailHeader is what a header says of the body after it; the first field counts.
type mailHeader struct {
	mediaType string // "text/plain", lower case; "" if not given or not readable
	boundary  string // of a multipart; "" if not usable
	encoding  string // Content-Transfer-Encoding, lower case
}

// read takes note of a field.
func (h *mailHeader) read(name, value []byte) {
	switch {
	case bytes.EqualFold(name, []byte("Content-Type")) && h.mediaType == "" && len(value) <= maxTypeField:
		h.mediaType, h.boundary = parseMediaType(value)
	case bytes.EqualFold(name, []byte("Content-Transfer-Encoding")) && h.encoding == "" && len(value) <= maxTypeField:
		h.encoding = strings.ToLower(string(bytes.TrimSpace(value)))
	}
}

func (h mailHeader) isMultipart() bool { return strings.HasPrefix(h.mediaType, "multipart/") }

// isMessage reports whether the body is a mail whose lines stand as they are.
func (h mailHeader) isMessage() bool {
	return h.mediaType == messageRFC822 && h.encoding != "base64" && h.encoding != "quoted-printable"
}

// isText reports whether the body is lines of text: any text type, also in
// quoted-printable, and what is built of such lines.
func (h mailHeader) isText() bool {
	return h.encoding != "base64" &&
		(strings.HasPrefix(h.mediaType, "text/") || strings.HasPrefix(h.mediaType, "message/") || h.isMultipart())
}

func (h mailHeader) isSignature() bool {
	_, found := slices.BinarySearch(signatureTypes, h.mediaType)
	return found
}

// parseMediaType reads the value of a Content-Type field: the type in lower case
// and the first boundary parameter, each "" if not usable (RFC 2045 section 5.1).
func parseMediaType(value []byte) (mediaType, boundary string) {
	parameters := mediaParameters(value)
	mediaType = strings.ToLower(strings.TrimSpace(parameters[0]))
	if kind, subtype, _ := strings.Cut(mediaType, "/"); kind == "" || subtype == "" {
		return "", ""
	}
	for _, parameter := range parameters[1:] {
		name, text, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "boundary") {
			continue
		}
		if text = strings.TrimSpace(text); len(text) <= maxBoundary {
			return mediaType, text
		}
		break
	}
	return mediaType, ""
}

// mediaParameters cuts value at its semicolons, and takes out comments, quotes,
// the backslash of a quoted pair, and line ends of folding.
func mediaParameters(value []byte) []string {
	var done []string
	var text []byte
	quoted, comments := false, 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\r' || c == '\n':
		case c == '\\' && (quoted || comments > 0) && i+1 < len(value):
			if i++; comments == 0 {
				text = append(text, value[i])
			}
		case c == '"' && comments == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			comments++
		case c == ')' && comments > 0:
			comments--
		case comments > 0:
		case c == ';' && !quoted:
			done, text = append(done, string(text)), text[:0]
		default:
			text = append(text, c)
		}
	}
	return append(done, string(text))
}
