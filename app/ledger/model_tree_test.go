package ledger_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/muniment/muniment/app/record"
)

// values gives the whole state, key by key.
func (m *model) values() map[string][]byte {
	all := map[string][]byte{}
	for name, f := range m.facts {
		b, _ := record.MarshalFact(f.fact)
		all[name] = modelCBOR([]any{int64(1), f.at, b})
	}
	m.memberValues(all)
	signing := map[string][]any{}
	for id, k := range m.keys {
		b, _ := record.MarshalFact(&k.fact)
		all["key/"+string(id[:])] = modelCBOR([]any{int64(1), k.registered, b, k.suspended, k.since})
		if k.fact.Use == record.UseSigning {
			name := "signing/" + string(k.fact.Office)
			signing[name] = append(signing[name], slices.Clone(id[:]))
		}
	}
	for name, ids := range signing {
		all[name] = modelCBOR([]any{int64(1), modelSorted(ids)})
	}
	for at, p := range m.proposals {
		b, _ := record.MarshalFact(p.fact)
		var offices []string
		for code := range p.approvals {
			offices = append(offices, string(code))
		}
		sort.Strings(offices)
		approvals := []any{}
		for _, code := range offices {
			a := p.approvals[record.Code(code)]
			approvals = append(approvals, []any{code, a.key[:], a.height})
		}
		all["proposal/"+modelIndex(at)] = modelCBOR([]any{int64(1), string(p.office), b, int64(p.day), p.executed, approvals})
	}
	m.retentionValues(all)
	if m.clock.written {
		all["clock"] = m.clock.value()
	}
	for nonce, at := range m.nonces {
		all["nonce/"+nonce] = modelCBOR([]any{int64(1), at})
	}
	return all
}

func modelIndex(i int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(i))) }

func modelSorted(ids []any) []any {
	sort.Slice(ids, func(i, j int) bool { return string(ids[i].([]byte)) < string(ids[j].([]byte)) })
	return ids
}

// modelCBOR encodes integers, byte strings, text and arrays.
func modelCBOR(v any) []byte {
	head := func(major byte, n int64) []byte {
		switch {
		case n < 24:
			return []byte{major<<5 + byte(n)}
		case n < 256:
			return []byte{major<<5 + 24, byte(n)}
		case n < 65536:
			return []byte{major<<5 + 25, byte(n >> 8), byte(n)}
		case n >= 1<<32:
			return binary.BigEndian.AppendUint64([]byte{major<<5 + 27}, uint64(n))
		}
		return []byte{major<<5 + 26, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	switch v := v.(type) {
	case int64:
		return head(0, v)
	case []byte:
		return append(head(2, int64(len(v))), v...)
	case string:
		return append(head(3, int64(len(v))), v...)
	case []any:
		b := head(4, int64(len(v)))
		for _, item := range v {
			b = append(b, modelCBOR(item)...)
		}
		return b
	}
	panic(fmt.Sprintf("no encoding for %T", v))
}

type modelLeaf struct{ key, value [32]byte }

// stateRoot builds the state tree from nothing.
func (m *model) stateRoot() [32]byte {
	var leaves []modelLeaf
	for key, value := range m.values() {
		leaves = append(leaves, modelLeaf{sha256.Sum256([]byte(key)), sha256.Sum256(value)})
	}
	return modelTree(leaves, 0)
}

func modelTree(leaves []modelLeaf, depth int) [32]byte {
	if len(leaves) == 0 {
		return [32]byte{}
	}
	if len(leaves) == 1 {
		return sha256.Sum256(slices.Concat([]byte{0}, leaves[0].key[:], leaves[0].value[:]))
	}
	var sides [2][]modelLeaf
	for _, l := range leaves {
		bit := l.key[depth/8] >> (7 - depth%8) & 1
		sides[bit] = append(sides[bit], l)
	}
	left, right := modelTree(sides[0], depth+1), modelTree(sides[1], depth+1)
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// logRoot computes the root of the log by the definition in RFC 6962, section 2.1.
func (m *model) logRoot() [32]byte { return modelMTH(m.raw) }

func modelMTH(entries [][]byte) [32]byte {
	if len(entries) == 1 {
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	}
	k := 1
	for k*2 < len(entries) {
		k *= 2
	}
	left, right := modelMTH(entries[:k]), modelMTH(entries[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}
