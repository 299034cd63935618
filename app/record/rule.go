package record

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muniment/muniment/app/retention"
)

// appendRule writes a retention rule, its parts nested.
func appendRule(b []byte, r *retention.Rule) []byte {
	b = appendVarint(b, 1, uint64(r.Kind))
	b = appendVarint(b, 2, uint64(r.Count))
	b = appendVarint(b, 3, uint64(r.Unit))
	b = appendVarint(b, 4, uint64(r.Event))
	b = appendVarint(b, 5, uint64(r.Year))
	b = appendCode(b, 6, Code(r.Series))
	for i := range r.Rules {
		b = appendNested(b, 7, appendRule(nil, &r.Rules[i]))
	}
	return b
}

// rule reads what appendRule writes. Depth and size are bounded while reading;
// the sense of the rule is for retention.Rule.Check.
func (f field) rule(dst *retention.Rule, depth int) error {
	if f.kind != protowire.BytesType || depth > retention.MaxDepth {
		return malformed("retention rule")
	}
	return eachField(f.bytes, func(f field) (err error) {
		var v uint8
		switch f.number {
		case 1:
			v, err = f.enum()
			dst.Kind = retention.Kind(v)
		case 2:
			dst.Count, err = f.uint32()
		case 3:
			v, err = f.enum()
			dst.Unit = retention.Unit(v)
		case 4:
			v, err = f.enum()
			dst.Event = retention.Event(v)
		case 5:
			v, err = f.enum()
			dst.Year = retention.YearKind(v)
		case 6:
			var c Code
			err = f.code(&c)
			dst.Series = string(c)
		case 7:
			if len(dst.Rules) == retention.MaxTerms {
				return malformed("retention rule has too many parts")
			}
			dst.Rules = append(dst.Rules, retention.Rule{})
			err = f.rule(&dst.Rules[len(dst.Rules)-1], depth+1)
		default:
			err = f.unknown()
		}
		return err
	})
}
