package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// text writes an authority file in the one spelling that this program uses. It
// reads back as the same authority.
func (a authority) text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "schedule = %s\nversion = %d\nstate = %t\neffective = %s\n", quoted(string(a.code)), a.version, a.state, a.effective)
	fmt.Fprintf(&b, "authority = %s\ncitation = %s\n", quoted(a.authority), quoted(a.citation))
	for _, s := range a.series {
		r := s.rule
		fmt.Fprintf(&b, "\n[[series]]\ncode = %s\nnumber = %s\ntitle = %s\n", quoted(string(r.Series)), quoted(s.number), quoted(s.title))
		fmt.Fprintf(&b, "description = %s\ncitation = %s\nverified = %t\n", quoted(s.description), quoted(s.citation), s.verified)
		fmt.Fprintf(&b, "rule = %s\naction = %s\n", quoted(r.Rule.String()), quoted(actionName(r.Action)))
		roles := make([]string, len(r.Approvals))
		for i, role := range r.Approvals {
			roles[i] = quoted(role.String())
		}
		fmt.Fprintf(&b, "approvals = [%s]\nnotice_days = %d\nnotice_heights = %d\n", strings.Join(roles, ", "), r.NoticeDays, r.NoticeHeights)
		fmt.Fprintf(&b, "fiscal_start = %d\ntransitory = %t\nbatched = %t\n", r.FiscalStart, r.Transitory, r.Batched)
	}
	return []byte(b.String())
}

// quoted writes printable text as a TOML basic string.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// rules gives the rules ascending by series, as their root wants them.
func (a authority) rules() []*record.ScheduleRule {
	rules := make([]*record.ScheduleRule, len(a.series))
	for i := range a.series {
		rules[i] = &a.series[i].rule
	}
	return inOrder(rules)
}

func inOrder(rules []*record.ScheduleRule) []*record.ScheduleRule {
	return slices.SortedFunc(slices.Values(rules), func(x, y *record.ScheduleRule) int { return strings.Compare(string(x.Series), string(y.Series)) })
}

// fact gives the change that adopts the version.
func (a authority) fact() (*record.Schedule, error) {
	rules := a.rules()
	root, err := rootOf(rules)
	if err != nil {
		return nil, err
	}
	return &record.Schedule{Code: a.code, Version: a.version, State: a.state, Effective: a.effective, Count: uint32(len(rules)), Root: root}, nil
}

// rootOf gives the root of rules that ascend by series.
func rootOf(rules []*record.ScheduleRule) ([32]byte, error) {
	var raw [][]byte
	for _, rule := range rules {
		fact, err := record.MarshalFact(rule)
		if err != nil {
			return [32]byte{}, err
		}
		raw = append(raw, fact)
	}
	return record.ScheduleRoot(raw)
}

// demonstrationText is printed wherever a schedule or a series is for trying
// things out.
const demonstrationText = "demonstration, not a records schedule"

// demonstration tells whether a schedule is for trying things out.
func demonstration(code record.Code) bool { return code == "DEMO" || code.Demonstration() }

// scheduleText says in one line what a fact about schedules states; ok is false
// for other facts.
func scheduleText(f record.Fact) (text string, ok bool) {
	switch f := f.(type) {
	case *record.ScheduleRule:
		return fmt.Sprintf("rule of %s in schedule %s version %d: %s", f.Series, f.Schedule, f.Version, ruleText(f)), true
	case *record.Schedule:
		authority := "local schedule"
		if f.State {
			authority = "state schedule"
		}
		return marked(fmt.Sprintf("%s %s version %d: %d rules, from %s, root %x", authority, f.Code, f.Version, f.Count, f.Effective, f.Root), demonstration(f.Code)), true
	case *record.Activation:
		return marked(fmt.Sprintf("activation of %s for %s: dates by %s, impact assessment %x of %s, next review %s, data map %x",
			f.Series, f.Office, f.Granularity, f.Assessment, f.Assessed, f.Review, f.DataMap), f.Series.Demonstration()), true
	case *record.StandingAuthorization:
		return fmt.Sprintf("standing authorization for %s: dispositions under %s, %s to %s", f.Office, joined(f.Series), f.From, f.Until), true
	}
	return "", false
}

// ruleText says what a rule demands.
func ruleText(r *record.ScheduleRule) string {
	text := r.Rule.String()
	if action := actionName(r.Action); action != text {
		text += "; " + action
	}
	if r.Transitory {
		text += "; transitory, no approval"
	} else {
		text += "; approval by " + joined(r.Approvals)
	}
	if r.NoticeDays > 0 || r.NoticeHeights > 0 {
		text += fmt.Sprintf("; notice of %s and %s", counted(r.NoticeDays, "day"), counted(r.NoticeHeights, "block"))
	}
	if r.Batched {
		text += "; one batch a day"
	}
	return marked(text, r.Series.Demonstration())
}

func marked(text string, demo bool) string {
	if demo {
		return text + " (" + demonstrationText + ")"
	}
	return text
}

func counted[T ~uint32 | ~int](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(uint64(n), 10) + " " + noun + "s"
}

// joined writes a list as A, B, C.
func joined[T any](list []T) string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = fmt.Sprint(one)
	}
	return strings.Join(texts, ", ")
}
