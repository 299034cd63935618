package ledger_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestT20_OnlyTheOriginalBytesAreAccepted mutates good transactions 10,000 times.
// What is accepted is the original, byte for byte, and nothing else.
func TestT20_OnlyTheOriginalBytesAreAccepted(t *testing.T) {
	c, messages := everyMessage(t)
	onlyTheOriginals(t, c, messages)
	a := foundArchive(t)
	messages, _, _ = a.steps()
	onlyTheOriginals(t, a.city, messages)
}

// onlyTheOriginals does so with the messages of one city.
func onlyTheOriginals(t *testing.T, c *city, messages map[string]record.Message) {
	t.Helper()
	h := ledger.Header{Height: c.view.Head().Height + 1, Time: max(at("2031-01-01"), c.view.Head().Time)}
	var originals [][]byte
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		raw := c.sign(t, signerOf(name), day("2031-01-02"), messages[name])
		if code := c.machine.Check(c.view, h, raw); code != ledger.OK {
			t.Fatalf("the message of %s is %s", name, code)
		}
		originals = append(originals, raw)
	}
	const seed = 20
	r := rand.New(rand.NewPCG(seed, seed))
	accepted, codes := 0, map[ledger.Code]int{}
	for i := range 10000 {
		original := originals[i%len(originals)]
		mutant := mutate(r, original, originals)
		code := c.machine.Check(c.view, h, mutant)
		codes[code]++
		same := slices.ContainsFunc(originals, func(o []byte) bool { return bytes.Equal(o, mutant) })
		if same {
			accepted++
		}
		if same != (code == ledger.OK) {
			t.Fatalf("seed %d, mutant %d is %s:\n%x, of\n%x", seed, i, code, mutant, original)
		}
	}
	if accepted == 0 || codes[ledger.CodeMalformed] < 1000 || codes[ledger.CodeBadSignature] < 1000 {
		t.Errorf("mutants were answered %v, %d originals among them: that tries too little", codes, accepted)
	}
}

// mutate alters a transaction: bits, bytes, lengths, fields, encodings, splices.
func mutate(r *rand.Rand, original []byte, others [][]byte) []byte {
	b := slices.Clone(original)
	switch r.IntN(10) {
	case 0, 1, 2:
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	case 3:
		b[r.IntN(len(b))] = byte(r.Uint32())
	case 4:
		return b[:r.IntN(len(b))]
	case 5:
		return append(b, byte(r.Uint32()))
	case 6:
		i := r.IntN(len(b) + 1)
		return slices.Insert(b, i, byte(r.Uint32()))
	case 7:
		i := r.IntN(len(b))
		return slices.Delete(b, i, i+1)
	case 8:
		i := r.IntN(len(b))
		other := others[r.IntN(len(others))]
		return append(b[:i:i], other[min(i, len(other)):]...)
	case 9:
		return reencode(r, b)
	}
	return b
}

// reencode writes the same fields in another way: an unknown field added, a
// field twice, another order, a length in too many bytes.
func reencode(r *rand.Rand, b []byte) []byte {
	var fields [][]byte
	for rest := b; len(rest) > 0; {
		n := protowire.ConsumeFieldValue(1, protowire.BytesType, rest[1:])
		fields = append(fields, rest[:1+n])
		rest = rest[1+n:]
	}
	i := r.IntN(len(fields))
	switch r.IntN(5) {
	case 0:
		fields = append(fields, protowire.AppendVarint(protowire.AppendTag(nil, protowire.Number(4+r.IntN(99)), protowire.VarintType), 1))
	case 1:
		fields = append(fields, fields[i])
	case 2:
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	case 3:
		value, _ := protowire.ConsumeBytes(fields[i][1:])
		n := len(value)
		long := []byte{fields[i][0], byte(n&0x7f | 0x80), byte(n>>7&0x7f | 0x80), 0}
		fields[i] = append(long, value...)
	case 4:
		fields[i] = nil
	}
	return bytes.Join(fields, nil)
}

// TestEveryFlippedByteIsRefused flips each byte of a good transaction.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	c, h := start(t)
	raw := c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", day("2030-12-31"), "a"))
	for i := range raw {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(raw)
			b[i] ^= mask
			if code := c.machine.Check(c.view, h, b); code == ledger.OK {
				t.Errorf("byte %d xor %#x: OK", i, mask)
			}
		}
	}
}

// FuzzCheck gives Check whatever comes. It always answers, and what it is
// content with as the only transaction of the next block, Apply accepts.
func FuzzCheck(f *testing.F) {
	c, h := start(f)
	f.Add(c.sign(f, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", day("2030-12-31"), "a", "b")))
	f.Add(c.sign(f, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: signingKey("DPW", "DPW/2")}))
	f.Add(c.sign(f, "IT", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		code := c.machine.Check(c.view, h, raw)
		if code == ledger.CodeInternal {
			t.Fatalf("Check cannot answer %x", raw)
		}
		if code != ledger.OK {
			return
		}
		if _, err := record.ParseTx(raw); err != nil {
			t.Fatalf("Check accepts what is no transaction: %v", err)
		}
		_, results, err := c.machine.Apply(c.view, ledger.Block{Height: h.Height, Time: h.Time, Txs: [][]byte{raw}})
		if err != nil || results[0].Code != ledger.OK {
			t.Fatalf("Apply = %v, %v after Check was content", results, err)
		}
	})
}
