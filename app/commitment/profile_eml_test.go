package commitment

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lines joins lines as a mail has them.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

// noticeMail is a mail from office to office: two text bodies, an attachment, a
// forwarded message and a signature.
var noticeMail = lines(
	"Received: from mail.harbour.example by mx.archive.example with ESMTP",
	" id 0123456789abcdef0123456789abcdef; Mon, 3 Mar 2031 09:00:00 +0000",
	"DKIM-Signature: v=1; a=rsa-sha256; d=harbour.example;",
	"\tbh=Zm9v; b=YmFy",
	"From: Harbour Commission <office@harbour.example>",
	"Subject: Notice of",
	" closure",
	"Content-Type: multipart/signed; (outer) boundary=\"=_o;1\"; micalg=sha-256",
	"",
	"preamble",
	"--=_o;1",
	"Content-Type: multipart/mixed; boundary=inner",
	"",
	"--inner",
	"",
	"Berth 7 is closed.",
	"",
	"The Harbour Commission",
	"--inner",
	"Content-Type: application/pdf",
	"Content-Transfer-Encoding: base64",
	"Content-MD5: Zm9vYmFy",
	"",
	"JVBERi0xLjcK",
	"--inner  ",
	"Content-Type: message/rfc822",
	"",
	"Subject: Enclosed",
	"",
	"Enclosed text.",
	"--inner--",
	"epilogue",
	"--=_o;1",
	"Content-Type: application/pkcs7-signature; name=smime.p7s",
	"Content-Transfer-Encoding: base64",
	"",
	"MIIB",
	"--=_o;1--",
)

func TestSplitNoticeMail(t *testing.T) {
	segments := checkCut(t, splitEML, []byte(noticeMail))
	want := []string{
		"header Received oracle", // holds a digest
		"header DKIM-Signature oracle",
		"header From",
		"header Subject",
		"header Content-Type",
		"blank line",
		"paragraph 1", // preamble
		"boundary line",
		"part 1 header Content-Type",
		"part 1 blank line",
		"part 1 boundary line",
		"part 1.1 blank line",
		"part 1.1 paragraph 2",
		"part 1.1 paragraph 3",
		"part 1 boundary line",
		"part 1.2 header Content-Type",
		"part 1.2 header Content-Transfer-Encoding",
		"part 1.2 header Content-MD5 oracle",
		"part 1.2 blank line",
		"part 1.2 chunk 1",
		"part 1 boundary line",
		"part 1.3 header Content-Type",
		"part 1.3 blank line",
		"part 1.3 message header Subject",
		"part 1.3 message blank line",
		"part 1.3 message paragraph 4",
		"part 1 boundary line",
		"part 1 paragraph 5", // epilogue
		"boundary line",
		"part 2 header Content-Type",
		"part 2 header Content-Transfer-Encoding",
		"part 2 blank line",
		"part 2 chunk 2 oracle",
		"boundary line",
	}
	got := Labels(EML, segments)
	for i, s := range segments {
		if s.Oracle {
			got[i] += " oracle"
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if text := string(segments[3].Payload); text != "Subject: Notice of\r\n closure\r\n" {
		t.Errorf("folded field: %q", text)
	}
}

func TestSplitEML(t *testing.T) {
	testCuts(t, splitEML, []cutCase{
		{"header and body", "Subject: a\n\nb\n", []string{"Subject: a\n", "\n", "b\n"}},
		{"header alone", "Subject: a", []string{"Subject: a"}},
		{"no body after the blank line", "Subject: a\r\n\r\n", []string{"Subject: a\r\n", "\r\n"}},
		{"folded lines, one of blanks alone", "Subject: a\n b\n \n\tc\nTo: d\n", []string{"Subject: a\n b\n \n\tc\n", "To: d\n"}},
		{"blank before the colon", "Subject \t: a\n", []string{"Subject \t: a\n"}},
		{"empty field", "Bcc:\n\n", []string{"Bcc:\n", "\n"}},
		{"line from a mailbox file", "From harbour Mon Mar 3\nTo: a\n\n", []string{"From harbour Mon Mar 3\n", "To: a\n", "\n"}},
		{"a line that is no field ends the header", "To: a\nnot a field\n\nb\n", []string{"To: a\n", "not a field\n\n", "b\n"}},
		{"paragraphs of a text body", "To: a\n\nb\n\n\nc\n \nd", []string{"To: a\n", "\n", "b\n\n\n", "c\n \n", "d"}},
		{"quoted-printable text is text", "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\na=3D\n\nb\n",
			[]string{"Content-Type: text/html\n", "Content-Transfer-Encoding: quoted-printable\n", "\n", "a=3D\n\n", "b\n"}},
		{"text in base64 is not", "Content-Transfer-Encoding: BASE64 \n\nYQ==\n\nYg==\n",
			[]string{"Content-Transfer-Encoding: BASE64 \n", "\n", "YQ==\n\nYg==\n"}},
		{"no text type", "Content-Type: Image/PNG\n\na\n\nb", []string{"Content-Type: Image/PNG\n", "\n", "a\n\nb"}},
		{"a type that is none is text", "Content-Type: weird\n\na\n\nb", []string{"Content-Type: weird\n", "\n", "a\n\n", "b"}},
		{"the first Content-Type counts", "Content-Type: image/png\nContent-Type: text/plain\n\na\n\nb",
			[]string{"Content-Type: image/png\n", "Content-Type: text/plain\n", "\n", "a\n\nb"}},
		{"bytes that are no UTF-8", "To: a\n\nb\xe4\n\nc", []string{"To: a\n", "\n", "b\xe4\n\n", "c"}},

		{"multipart without a boundary is text", "Content-Type: multipart/mixed\n\n--a\n\nb", []string{"Content-Type: multipart/mixed\n", "\n", "--a\n\n", "b"}},
		{"multipart whose boundary never comes", "Content-Type: multipart/mixed; boundary=x\n\na\n\nb",
			[]string{"Content-Type: multipart/mixed; boundary=x\n", "\n", "a\n\n", "b"}},
		{"multipart that is not closed", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\na",
			[]string{"Content-Type: multipart/mixed; boundary=x\n", "\n", "--x\n", "\n", "a"}},
		{"a part without header", "Content-Type: multipart/mixed; boundary=x\n\n--x\nno field\n--x--",
			[]string{"Content-Type: multipart/mixed; boundary=x\n", "\n", "--x\n", "no field\n", "--x--"}},
		{"empty parts", "Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--\n--x\n",
			[]string{"Content-Type: multipart/mixed; boundary=x\n", "\n", "--x\n", "--x\n", "--x--\n", "--x\n"}},
		{"what only looks like a boundary", "Content-Type: multipart/mixed; boundary=x\n\n--xy\n --x\n--x -\n-- x\na--x\n--x\t \n",
			[]string{"Content-Type: multipart/mixed; boundary=x\n", "\n", "--xy\n --x\n--x -\n-- x\na--x\n", "--x\t \n"}},
		{"the outer boundary ends an inner multipart", lfMail("Content-Type: multipart/mixed; boundary=o", "", "--o",
			"Content-Type: multipart/mixed; boundary=i", "", "--i", "", "a", "--o--", "--i--"),
			[]string{"Content-Type: multipart/mixed; boundary=o\n", "\n", "--o\n",
				"Content-Type: multipart/mixed; boundary=i\n", "\n", "--i\n", "\n", "a\n", "--o--\n", "--i--\n"}},
		{"parts of a digest are messages", lfMail("Content-Type: multipart/digest; boundary=o", "", "--o", "", "To: a", "", "b", "--o--"),
			[]string{"Content-Type: multipart/digest; boundary=o\n", "\n", "--o\n", "\n", "To: a\n", "\n", "b\n", "--o--\n"}},
		{"enclosed message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nTo: a\n\nb",
			[]string{"Content-Type: message/rfc822\n", "Content-Transfer-Encoding: base64\n", "\n", "To: a\n\nb"}},
		{"enclosed message that is none", "Content-Type: message/rfc822\n\nno field\n\na\n",
			[]string{"Content-Type: message/rfc822\n", "\n", "no field\n\n", "a\n"}},

		{"nothing", "", nil},
		{"blank line first", "\nTo: a\n", nil},
		{"text", "// no mail\n", nil},
		{"folded line first", " To: a\n", nil},
		{"colon first", ": a\n", nil},
		{"line from a mailbox file alone", "From harbour\n", nil},
	})
}

func lfMail(l ...string) string { return strings.Join(l, "\n") + "\n" }

func TestOtherBodiesAreCutAt64KiB(t *testing.T) {
	head := "Content-Type: application/zip\n\n"
	segments := checkCut(t, splitEML, []byte(head+strings.Repeat("z", 2*rawChunk+1)))
	var got []int
	for _, s := range segments[2:] {
		got = append(got, len(s.Payload))
	}
	if want := []int{rawChunk, rawChunk, 1}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}

// nested returns a mail with n multiparts in each other and a text in the last.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return b.String() + "\ntext\n"
}

func TestMailDepth(t *testing.T) {
	for _, c := range []struct {
		name       string
		depth      int
		boundaries int
	}{
		{"as deep as is read", maxMailDepth, maxMailDepth},
		{"one deeper: the innermost is text", maxMailDepth + 1, maxMailDepth},
		{"far deeper", 5000, maxMailDepth},
	} {
		t.Run(c.name, func(t *testing.T) {
			segments := checkCut(t, splitEML, []byte(nested(c.depth)))
			boundaries := 0
			for _, label := range Labels(EML, segments) {
				if strings.HasSuffix(label, "boundary line") {
					boundaries++
				}
			}
			if boundaries != c.boundaries {
				t.Errorf("%d boundary lines, want %d", boundaries, c.boundaries)
			}
		})
	}
	messages := strings.Repeat("Content-Type: message/rfc822\n\n", 100) + "To: a\n\nb"
	if got := len(checkCut(t, splitEML, []byte(messages))); got <= 2*maxMailDepth || got > 4*maxMailDepth+100 {
		t.Errorf("enclosed messages: %d segments", got)
	}
}

func TestOracleFields(t *testing.T) {
	if !slices.IsSorted(oracleFields) || !slices.IsSorted(signatureTypes) {
		t.Fatal("a list is not sorted: look-ups in it fail")
	}
	hash := strings.Repeat("0aF", 11)
	for _, c := range []struct {
		name, field string
		want        bool
	}{
		{"signature of the sender's domain", "DKIM-Signature: v=1", true},
		{"name in any case", "dKiM-sIGNATURE: v=1", true},
		{"one provider's signature", "X-Google-DKIM-Signature: v=1", true},
		{"forerunner of DKIM", "DomainKey-Signature: a=rsa-sha1", true},
		{"chain of forwarders", "ARC-Seal: i=1", true},
		{"any field of that chain", "ARC-Anything: i=1", true},
		{"digest of the body", "Content-MD5: Zm9v", true},
		{"digest of the representation", "Repr-Digest: sha-256=:Zm9v:", true},
		{"trace with 32 hexadecimal digits", "Received: by x id " + hash[:32], true},
		{"trace with 31", "Received: by x id " + hash[:31] + "x" + hash[:31], false},
		{"hexadecimal digits elsewhere", "Message-ID: <" + hash + "@harbour.example>", false},
		{"subject", "Subject: DKIM-Signature", false},
		{"name that only begins alike", "DKIM-Signature-Note: a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			segments, err := splitEML([]byte(c.field + "\n\nbody\n"))
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range segments {
				if want := i == 0 && c.want; s.Oracle != want {
					t.Errorf("segment %d: oracle %t, want %t", i, s.Oracle, want)
				}
			}
		})
	}
}

func TestParseMediaType(t *testing.T) {
	long := strings.Repeat("b", maxBoundary)
	for _, c := range []struct{ name, value, mediaType, boundary string }{
		{"plain", " text/plain; charset=utf-8\r\n", "text/plain", ""},
		{"case and blanks", "\tMultipart/Mixed ; Boundary = abc ", "multipart/mixed", "abc"},
		{"quoted, with a semicolon", `multipart/mixed; boundary="a;b c"`, "multipart/mixed", "a;b c"},
		{"quoted pair", `multipart/mixed; boundary="a\"b"`, "multipart/mixed", `a"b`},
		{"folded", "multipart/mixed;\r\n boundary=abc\r\n", "multipart/mixed", "abc"},
		{"comments", `multipart/mixed (a (b) \) ;) ; boundary=(c)x`, "multipart/mixed", "x"},
		{"first boundary counts", "multipart/mixed; boundary=a; boundary=b", "multipart/mixed", "a"},
		{"equals sign in the boundary", "multipart/mixed; boundary=----=_Part", "multipart/mixed", "----=_Part"},
		{"70 bytes", "multipart/mixed; boundary=" + long, "multipart/mixed", long},
		{"71 bytes", "multipart/mixed; boundary=" + long + "b", "multipart/mixed", ""},
		{"empty boundary", `multipart/mixed; boundary=""`, "multipart/mixed", ""},
		{"extended parameter is not read", "multipart/mixed; boundary*0=a", "multipart/mixed", ""},
		{"no subtype", "multipart; boundary=a", "", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mediaType, boundary := parseMediaType([]byte(c.value))
			if mediaType != c.mediaType || boundary != c.boundary {
				t.Errorf("got %q %q, want %q %q", mediaType, boundary, c.mediaType, c.boundary)
			}
		})
	}
}

func TestSplitEMLEveryByte(t *testing.T) {
	testEveryByte(t, EML, splitEML, noticeMail)
}
