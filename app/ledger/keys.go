package ledger

import (
	"encoding/binary"

	"github.com/muniment/muniment/app/record"
)

// The state keys. Fixed parts are ASCII, ids are raw bytes, indexes are eight
// bytes big-endian. No key is a prefix of another kind's keys. The values are
// in value.go and in docs/spec/ledger.md.
const (
	keyParameters   = "parameters"  //                            -> fact
	prefixOffice    = "office/"     // code                       -> fact
	prefixSigning   = "signing/"    // office code                -> ids of its signing keys
	prefixKey       = "key/"        // key id                     -> key
	prefixGoverning = "governance/" // subject, one byte          -> fact
	prefixCustody   = "custody/"    // code                       -> fact
	keySets         = "custodies"   //                            -> codes of the custodian sets
	prefixSeries    = "series/"     // code                       -> fact
	prefixNode      = "node/"       // id of the node key         -> fact
	keyNodes        = "nodes"       //                            -> ids of the node keys
	prefixRetired   = "retired/"    // id of a key that a node had -> who took it away, public key
	prefixAddress   = "address/"    // address of a validator key that a node had -> its id
	prefixCustodian = "custodian/"  // id of a custodian key stated after genesis -> its fact entry
	prefixEra       = "era/"        // number                     -> era
	keyEras         = "eras"        //                            -> number of the era in force
	keyWitnesses    = "witnesses"   //                            -> fact
	keyUpgrade      = "upgrade"     //                            -> versions of the rules with their heights
	prefixDeparted  = "departed/"   // set, custodian             -> its departure entry
	prefixProposal  = "proposal/"   // index of the proposal      -> proposal
	prefixRecord    = "record/"     // index of the anchor        -> lifecycle
	prefixNonce     = "nonce/"      // key id, nonce              -> index of the transaction entry

	prefixRule       = "rule/"       // schedule, version, series -> fact
	prefixVersion    = "version/"    // schedule, version         -> its series and its adoption
	prefixSchedule   = "schedule/"   // schedule                  -> its adopted versions
	prefixRules      = "rules/"      // series                    -> adopted rules
	prefixActivation = "activation/" // series, office            -> fact
	prefixStanding   = "standing/"   // index of its fact entry   -> fact
	prefixBatch      = "batch/"      // office, series, day       -> index of the batch
	prefixAudited    = "audited/"    // office                    -> postings

	prefixHold        = "hold/"        // index of its entry      -> hold
	prefixHeld        = "held/"        // nothing, office, series -> holds on all of it
	prefixDisposition = "disposition/" // index of its entry      -> disposition
	keyLocks          = "locks"        //                         -> locked dispositions without an end
	keyErasures       = "erasures"     //                         -> the last one that was locked in order to erase
	keyClock          = "clock"        //                         -> what is known against the clock
	prefixRefusals    = "refusals/"    // office                  -> refusals of a ledger day
)

// StateKeyParameters gives the state key of the parameters.
func StateKeyParameters() []byte { return []byte(keyParameters) }

// StateKeyOffice gives the state key of an office.
func StateKeyOffice(code record.Code) []byte { return join(prefixOffice, []byte(code)) }

// StateKeySigning gives the state key of the list of an office's signing keys.
func StateKeySigning(office record.Code) []byte { return join(prefixSigning, []byte(office)) }

// StateKeyKey gives the state key of an office's key.
func StateKeyKey(id record.KeyID) []byte { return join(prefixKey, id[:]) }

// StateKeyGovernance gives the state key of who decides a subject.
func StateKeyGovernance(s record.Subject) []byte { return join(prefixGoverning, []byte{byte(s)}) }

// StateKeyCustodianSet gives the state key of a custodian set.
func StateKeyCustodianSet(code record.Code) []byte { return join(prefixCustody, []byte(code)) }

// StateKeyCustodianSets gives the state key of the list of custodian sets. It
// has no value as long as there are none but those of genesis.
func StateKeyCustodianSets() []byte { return []byte(keySets) }

// StateKeySeries gives the state key of a record series.
func StateKeySeries(code record.Code) []byte { return join(prefixSeries, []byte(code)) }

// StateKeyNode gives the state key of a node, named by the id of its node key.
func StateKeyNode(id record.KeyID) []byte { return join(prefixNode, id[:]) }

// StateKeyNodes gives the state key of the list of nodes.
func StateKeyNodes() []byte { return []byte(keyNodes) }

// StateKeyRetired gives the state key of a key that a node had once.
func StateKeyRetired(id record.KeyID) []byte { return join(prefixRetired, id[:]) }

// StateKeyCustodian gives the state key of a custodian key that a node had first
// after genesis.
func StateKeyCustodian(id record.KeyID) []byte { return join(prefixCustodian, id[:]) }

// StateKeyAddress gives the state key of the address of a validator key that a
// node had once.
func StateKeyAddress(a [20]byte) []byte { return join(prefixAddress, a[:]) }

// StateKeyEra gives the state key of an era. The first has none while it is in force.
func StateKeyEra(number int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixEra), uint64(number))
}

// StateKeyEras gives the state key of the number of the era in force. Absent: the first.
func StateKeyEras() []byte { return []byte(keyEras) }

// StateKeyWitnesses gives the state key of the witnesses outside the network.
func StateKeyWitnesses() []byte { return []byte(keyWitnesses) }

// StateKeyUpgrade gives the state key of the versions of the rules.
func StateKeyUpgrade() []byte { return []byte(keyUpgrade) }

// StateKeyDeparted gives the state key of a custodian's departure from a set.
func StateKeyDeparted(set record.Code, custodian record.KeyID) []byte {
	return append(append(join(prefixDeparted, []byte(set)), '/'), custodian[:]...)
}

// StateKeyProposal gives the state key of a proposal.
func StateKeyProposal(i record.Index) []byte { return join(prefixProposal, indexBytes(i)) }

// StateKeyLifecycle gives the state key of what befell the record anchored at
// entry i. A record that was only anchored has no such value.
func StateKeyLifecycle(i record.Index) []byte { return join(prefixRecord, indexBytes(i)) }

// StateKeyNonce gives the state key of a nonce that a key has used.
func StateKeyNonce(id record.KeyID, n record.Nonce) []byte {
	return append(join(prefixNonce, id[:]), n[:]...)
}

// StateKeyRule gives the state key of the rule of a series in a version of a schedule.
func StateKeyRule(schedule record.Code, version uint32, series record.Code) []byte {
	return append(binary.BigEndian.AppendUint32(codesKey(prefixRule, schedule, ""), version), "/"+string(series)...)
}

// StateKeyVersion gives the state key of a version of a schedule.
func StateKeyVersion(schedule record.Code, version uint32) []byte {
	return binary.BigEndian.AppendUint32(codesKey(prefixVersion, schedule, ""), version)
}

// StateKeySchedule gives the state key of the adopted versions of a schedule.
func StateKeySchedule(code record.Code) []byte { return join(prefixSchedule, []byte(code)) }

// StateKeyRules gives the state key of the adopted rules of a series.
func StateKeyRules(series record.Code) []byte { return join(prefixRules, []byte(series)) }

// StateKeyActivation gives the state key of a series' activation for an office.
func StateKeyActivation(series, office record.Code) []byte {
	return codesKey(prefixActivation, series, office)
}

// StateKeyStanding gives the state key of the standing authorization stated in fact entry i.
func StateKeyStanding(i record.Index) []byte { return join(prefixStanding, indexBytes(i)) }

// StateKeyBatch gives the state key of the batch of an office, a series and a ledger day (0 or later).
func StateKeyBatch(office, series record.Code, day record.Day) []byte {
	return binary.BigEndian.AppendUint32(append(codesKey(prefixBatch, office, series), '/'), uint32(day))
}

// StateKeyAudited gives the state key of the audits posted for an office.
func StateKeyAudited(office record.Code) []byte { return join(prefixAudited, []byte(office)) }

// StateKeyHold gives the state key of the hold whose entry is entry i.
func StateKeyHold(i record.Index) []byte { return join(prefixHold, indexBytes(i)) }

// StateKeyHeld gives the state key of the holds on a series of a department; on
// all of a department where series is empty; on all of the city where both are.
func StateKeyHeld(department, series record.Code) []byte {
	return codesKey(prefixHeld, department, series)
}

// StateKeyDisposition gives the state key of the disposition whose entry is entry i.
func StateKeyDisposition(i record.Index) []byte { return join(prefixDisposition, indexBytes(i)) }

// StateKeyLocks gives the state key of the locked dispositions that wait for reports.
func StateKeyLocks() []byte { return []byte(keyLocks) }

// StateKeyErasures gives the state key of the disposition with the action DESTROY
// or REDACT that was locked last.
func StateKeyErasures() []byte { return []byte(keyErasures) }

// StateKeyClock gives the state key of what is known against the clock.
func StateKeyClock() []byte { return []byte(keyClock) }

// StateKeyRefusals gives the state key of the count of an office's refusals.
func StateKeyRefusals(office record.Code) []byte { return join(prefixRefusals, []byte(office)) }

// codesKey joins codes by a slash, which no code contains.
func codesKey(prefix string, codes ...record.Code) []byte {
	b := []byte(prefix)
	for i, c := range codes {
		if i > 0 {
			b = append(b, '/')
		}
		b = append(b, c...)
	}
	return b
}

func indexBytes(i record.Index) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func join(prefix string, rest []byte) []byte {
	b := make([]byte, 0, len(prefix)+len(rest)+len(record.Nonce{}))
	return append(append(b, prefix...), rest...)
}
