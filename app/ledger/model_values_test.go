package ledger_test

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// The state of retention, holds and dispositions, from the same pages.

// zigzag is a day that may be before 1970.
func zigzag(d record.Day) int64 {
	if d < 0 {
		return -2*int64(d) - 1
	}
	return 2 * int64(d)
}

func modelFlag(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

func modelFactValue(f modelFact) []byte {
	b, err := record.MarshalFact(f.fact)
	if err != nil {
		panic(err)
	}
	return modelCBOR([]any{int64(1), f.at, b})
}

func modelTexts(codes []record.Code) []any {
	list := []any{}
	for _, c := range codes {
		list = append(list, string(c))
	}
	return list
}

func modelNumber(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// retentionValues adds its part to the state.
func (m *model) retentionValues(all map[string][]byte) {
	m.scheduleValues(all)
	m.holdValues(all)
	for i, l := range m.lives {
		all["record/"+modelIndex(i)] = m.lifeValue(i, l)
	}
	for office, postings := range m.postings {
		list := []any{}
		for _, p := range postings {
			list = append(list, []any{zigzag(p.through), zigzag(p.posted), p.at})
		}
		all["audited/"+string(office)] = modelCBOR([]any{int64(1), list})
	}
	for office, q := range m.refused {
		all["refusals/"+string(office)] = modelCBOR([]any{int64(1), zigzag(q.day), q.count})
	}
	locks := []any{}
	for at, d := range m.dispositions {
		all["disposition/"+modelIndex(at)] = m.dispositionValue(d)
		if d.status == modelLocked {
			locks = append(locks, at)
		}
	}
	slices.SortFunc(locks, func(a, b any) int { return int(a.(int64) - b.(int64)) })
	if last := m.lastErasure(m.size()); last != 0 {
		all["erasures"] = modelCBOR([]any{int64(1), last})
	}
	if m.everLocked {
		all["locks"] = modelCBOR([]any{int64(1), locks})
	}
}

func (m *model) scheduleValues(all map[string][]byte) {
	for _, v := range m.versions {
		name := string(v.code) + "/" + modelNumber(v.number)
		for series, r := range v.rules {
			all["rule/"+name+"/"+string(series)] = modelFactValue(r)
		}
		all["version/"+name] = modelCBOR([]any{int64(1), v.adopted, modelTexts(v.series())})
	}
	schedules, rules := map[record.Code][]any{}, map[record.Code][]any{}
	for i := range m.adoptions {
		a := &m.adoptions[i]
		version := []any{int64(a.number), a.adopted, zigzag(a.day), zigzag(a.effective)}
		schedules[a.code] = append(schedules[a.code], version)
		all["schedule/"+string(a.code)] = modelCBOR([]any{int64(1), modelFlag(a.state), schedules[a.code], modelTexts(a.covers)})
		for _, s := range a.covers {
			rules[s] = append(rules[s], []any{
				string(a.code), int64(a.number), modelFlag(a.state), a.rules[s].at, a.adopted, zigzag(a.day), zigzag(a.effective), a.since[s],
			})
			all["rules/"+string(s)] = modelCBOR([]any{int64(1), rules[s]})
		}
	}
	for of, f := range m.activations {
		all["activation/"+string(of[0])+"/"+string(of[1])] = modelFactValue(f)
	}
	for at, f := range m.standings {
		all["standing/"+modelIndex(at)] = modelFactValue(modelFact{at, &f})
	}
	for b, at := range m.batches {
		all["batch/"+string(b.office)+"/"+string(b.series)+"/"+modelNumber(uint32(b.day))] = modelCBOR([]any{int64(1), at})
	}
}

func (m *model) holdValues(all map[string][]byte) {
	marks := map[string][]any{}
	for at, h := range m.holds {
		var issues []uint32
		for issue := range h.resolved {
			issues = append(issues, issue)
		}
		slices.Sort(issues)
		resolved, closers, parts := []any{}, []any{}, []any{}
		for _, office := range slices.Sorted(maps.Keys(h.closers)) {
			closers = append(closers, string(office))
		}
		for _, issue := range issues {
			resolved = append(resolved, int64(issue))
		}
		for _, p := range h.parts {
			s := p.scope
			parts = append(parts, []any{
				p.at, string(p.office), zigzag(p.day), int64(p.issues), int64(len(s.Records)),
				string(s.Department), string(s.Series), modelFlag(s.City), modelFlag(s.Dated), zigzag(s.From), zigzag(s.To),
			})
			if s.City || s.Department != "" {
				key := "held/" + string(s.Department) + "/" + string(s.Series)
				marks[key] = append(marks[key], []any{at, p.at, modelFlag(s.Dated), zigzag(s.From), zigzag(s.To), h.released})
			}
		}
		all["hold/"+modelIndex(at)] = modelCBOR([]any{
			int64(1), string(h.office), int64(h.kind), h.matter[:], zigzag(h.day), int64(h.issues), resolved, closers, parts,
			h.released, string(h.by), zigzag(h.on),
		})
	}
	for key, list := range marks {
		slices.SortFunc(list, func(a, b any) int { return int(a.([]any)[1].(int64) - b.([]any)[1].(int64)) })
		all[key] = modelCBOR([]any{int64(1), list})
	}
}

func (m *model) lifeValue(i int64, l *modelLife) []byte {
	events, holds := []any{}, []any{}
	for _, e := range retention.Events() {
		if said, ok := l.events[e]; ok {
			events = append(events, []any{int64(e), zigzag(said.day), said.at})
		}
	}
	for _, h := range m.holds {
		for _, p := range h.parts {
			if slices.Contains(p.scope.Records, record.Index(i)) {
				holds = append(holds, []any{h.at, p.at})
				break
			}
		}
	}
	slices.SortFunc(holds, func(a, b any) int { return int(a.([]any)[0].(int64) - b.([]any)[0].(int64)) })
	return modelCBOR([]any{
		int64(1), l.successor, l.supersession, zigzag(l.supersededOn), string(l.series), l.file, l.filing, events, holds, l.disposition,
		modelNumbers(m.decisions(record.Index(i))),
	})
}

func modelNumbers(numbers []int64) []any {
	list := []any{}
	for _, n := range numbers {
		list = append(list, n)
	}
	return list
}

// lastErasure gives the disposition that was locked last, before an entry, with
// an action that destroys content; 0 where none was.
func (m *model) lastErasure(before int64) int64 {
	last := &modelDisposition{}
	for _, d := range m.dispositions {
		if destroys := d.msg.Action != record.ActionTransfer && d.msg.Action != record.ActionPermanent; destroys && d.lock < before && d.lock > last.lock {
			last = d
		}
	}
	return last.at
}

func (m *model) dispositionValue(d *modelDisposition) []byte {
	approvals, reports := []any{}, []any{}
	for _, a := range d.approvals {
		approvals = append(approvals, []any{string(a.office), a.key[:], zigzag(a.day), a.height, a.at})
	}
	for _, r := range d.reports {
		reports = append(reports, []any{string(r.office), r.custodian[:], r.at})
	}
	redaction, before := []byte{}, int64(0)
	if d.msg.Action == record.ActionRedact {
		redaction = d.msg.Redaction[:]
	}
	if d.lock != 0 && (d.msg.Action == record.ActionDestroy || d.msg.Action == record.ActionRedact) {
		before = m.lastErasure(d.lock)
	}
	return modelCBOR([]any{
		int64(1), string(d.office), string(d.msg.Series), int64(d.msg.Action), string(d.msg.To), int64(d.msg.Standing), d.hash[:],
		d.tx, int64(len(d.msg.Records)), zigzag(d.day), d.height, d.status, approvals, d.notice, zigzag(d.noticeDay), d.lock, reports,
		redaction, before,
	})
}
