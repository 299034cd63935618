package ledger

import (
	"github.com/muniment/muniment/app/record"
)

// upgradeHeights is how many heights lie at least between the block that decides
// on another version of the rules and the first block that is judged by it:
// time enough for a node to notice that it does not know them.
const upgradeHeights = 10

// version is one version of the rules.
type version struct {
	number uint32
	height int64        // of the first block that is judged by it
	stated record.Index // fact entry
}

// VersionAt gives the version of the rules by which the block of a height is
// judged, as far as it is decided. The network starts with version 1.
func VersionAt(v View, height int64) (uint32, error) {
	list, err := versionsOf(v)
	at := uint32(1)
	for _, one := range list {
		if one.height <= height {
			at = one.number
		}
	}
	return at, err
}

// NextVersion gives the version of the rules that is decided and not in force at
// the last block, and the height of the first block that is judged by it. ok is
// false when none is decided.
func NextVersion(v View) (number uint32, height int64, ok bool, err error) {
	list, err := versionsOf(v)
	if err != nil || len(list) == 0 {
		return 0, 0, false, err
	}
	last := list[len(list)-1]
	if last.height <= v.Head().Height {
		return 0, 0, false, nil
	}
	return last.number, last.height, true, nil
}

// changeVersion judges an upgrade: to the next version, far enough ahead, one at a
// time. The height of one that is decided can be decided anew while it is as far
// ahead, so that a mistyped one does not end all upgrades.
func changeVersion(v View, f *record.Upgrade, at record.Index, height int64) ([]Value, Code, error) {
	list, err := versionsOf(v)
	if err != nil {
		return nil, 0, err
	}
	now, pending := version{number: 1}, version{}
	if last := len(list) - 1; last >= 0 && list[last].height > height {
		list, pending = list[:last], list[last]
	}
	if len(list) > 0 {
		now = list[len(list)-1]
	}
	switch {
	case f.Version == now.number, f.Version == pending.number && f.Height == pending.height:
		return nil, CodeNoChange, nil
	case pending.number > 0 && (f.Version != pending.number || pending.height-height < upgradeHeights):
		return nil, CodeUpgradePending, nil
	case f.Version != now.number+1:
		return nil, CodeBadFact, nil
	case f.Height-height < upgradeHeights:
		return nil, CodeBadHeight, nil
	}
	list = append(list, version{f.Version, f.Height, at})
	return []Value{{StateKeyUpgrade(), versionsValue(list)}}, OK, nil
}

// versionsOf lists the versions after the first, ascending.
func versionsOf(v View) ([]version, error) {
	key := StateKeyUpgrade()
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	return parseVersions(Value{key, value})
}

// versionsValue is [1, [[version, height, index of the fact entry], ...]], ascending.
func versionsValue(list []version) []byte {
	b := appendHead(newValue(1), majorArray, uint64(len(list)))
	for _, one := range list {
		b = appendNumber(appendHead(b, majorArray, 3), int64(one.number))
		b = appendNumber(appendNumber(b, one.height), one.stated)
	}
	return b
}

func parseVersions(v Value) ([]version, error) {
	r := open(v.Value, 1)
	list := make([]version, r.list(4))
	for i := range list {
		r.array(3)
		list[i] = version{number: r.uint32(), height: r.number(), stated: r.index()}
		r.wrong = r.wrong || list[i].number != uint32(i)+2 || i > 0 && list[i].height <= list[i-1].height
	}
	if err := r.end(v.Key); err != nil {
		return nil, err
	}
	return list, nil
}
