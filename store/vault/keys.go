package vault

import (
	"encoding/binary"

	"github.com/muniment/muniment/app/record"
)

// RID names a record within its custodian: 16 random bytes, drawn per deposit.
type RID = [16]byte

// All keys of the store. Integers are big-endian; a code ends at its zero byte.
const (
	prefixRedaction  = 'a' // a | rid | hash                     -> sealed redaction, as it was filed
	prefixPack       = 'b' // b | rid | pack u32                 -> pack of sealed segments
	prefixCatalogue  = 'c' // c | office 0 | rid                 -> sealed catalogue entry
	prefixDue        = 'd' // d | not-after day u32, biased | rid -> nothing: a deposit that is not anchored
	prefixEntry      = 'e' // e | index u64                      -> rid of a residual record
	prefixFamily     = 'f' // f | rid                            -> family, 16: which others have the same bytes
	prefixRelease    = 'g' // g | rid | number u32               -> release: content that was given out
	prefixLeaves     = 'h' // h | rid | part u32                 -> leaf hashes
	prefixIndex      = 'i' // i | office 0 | commitment          -> rid
	prefixMember     = 'j' // j | family | rid                   -> nothing: every record of a family
	prefixLayout     = 'l' // l | rid                            -> sealed layout
	prefixPosition   = 'p' // p                                  -> next entry of the log to follow, u64
	prefixReport     = 'q' // q | disposition u64                -> text of an erasure report
	prefixRecord     = 'r' // r | rid                            -> record
	prefixResidual   = 't' // t | rid                            -> residual record: what is left of an erased one
	prefixUnfinished = 'w' // w | rid                            -> nothing: a Put that is not complete
	prefixRemoved    = 'x' // x | rid                            -> nothing: a deposit that was removed for good
	prefixFreed      = 'z' // z | rid                            -> nothing: packs were deleted whose space is not reclaimed
)

func keyPack(rid RID, pack uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixPack}, rid[:]...), pack)
}

func keyLeaves(rid RID, part uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixLeaves}, rid[:]...), part)
}

func keyLayout(rid RID) []byte     { return append([]byte{prefixLayout}, rid[:]...) }
func keyRecord(rid RID) []byte     { return append([]byte{prefixRecord}, rid[:]...) }
func keyUnfinished(rid RID) []byte { return append([]byte{prefixUnfinished}, rid[:]...) }
func keyResidual(rid RID) []byte   { return append([]byte{prefixResidual}, rid[:]...) }
func keyFreed(rid RID) []byte      { return append([]byte{prefixFreed}, rid[:]...) }
func keyRemoved(rid RID) []byte    { return append([]byte{prefixRemoved}, rid[:]...) }
func keyPosition() []byte          { return []byte{prefixPosition} }

func keyRedactions(rid RID) []byte { return append([]byte{prefixRedaction}, rid[:]...) }
func keyReleases(rid RID) []byte   { return append([]byte{prefixRelease}, rid[:]...) }

func keyRedaction(rid RID, hash [32]byte) []byte { return append(keyRedactions(rid), hash[:]...) }

func keyRelease(rid RID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(keyReleases(rid), number)
}

func keyReport(disposition record.Index) []byte { return keyNumbered(prefixReport, disposition) }
func keyEntry(i record.Index) []byte            { return keyNumbered(prefixEntry, i) }

func keyNumbered(prefix byte, i record.Index) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, uint64(i))
}

func keyOffice(prefix byte, office record.Code) []byte {
	return append(append([]byte{prefix}, office...), 0)
}

func keyCatalogue(office record.Code, rid RID) []byte {
	return append(keyOffice(prefixCatalogue, office), rid[:]...)
}

func keyIndex(office record.Code, c record.Commitment) []byte {
	return append(keyOffice(prefixIndex, office), c[:]...)
}

func keyFamily(rid RID) []byte         { return append([]byte{prefixFamily}, rid[:]...) }
func keyMembers(family RID) []byte     { return append([]byte{prefixMember}, family[:]...) }
func keyMember(family, rid RID) []byte { return append(keyMembers(family), rid[:]...) }

// keyDue orders days as numbers: days before 1970 are negative.
func keyDue(day record.Day, rid RID) []byte {
	return append(dueBefore(day), rid[:]...)
}

// dueBefore is the end of the keys of all days before the given one.
func dueBefore(day record.Day) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixDue}, uint32(day)^1<<31)
}

// ridOf reads the rid with which a key ends.
func ridOf(key []byte) RID { return RID(key[len(key)-len(RID{}):]) }

// after is the first key that does not begin with prefix. No prefix here ends in 0xff
// bytes throughout: each begins with a letter.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}
