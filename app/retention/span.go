package retention

// A span is a count of units; the zero span is none.
type span struct {
	count uint32
	unit  Unit
}

// months gives a span of months or years in months.
func (s span) months() uint64 {
	if s.unit == Years {
		return 12 * uint64(s.count)
	}
	return uint64(s.count)
}

// days gives how many days the span has at least and at most, whatever the day
// from which it runs.
func (s span) days() (least, most uint64) {
	if s.unit == Days || s.count == 0 {
		return uint64(s.count), uint64(s.count)
	}
	years, months := s.months()/12, s.months()%12
	least, most = 365*years, 365*years+(years+3)/4+31*months
	if months > 0 {
		least += 30*months - 2 // February
	}
	return least, most
}

// atLeast tells whether s is as long as o from every day on.
func (s span) atLeast(o span) bool {
	if s.count > 0 && o.count > 0 && s.unit != Days && o.unit != Days {
		return s.months() >= o.months()
	}
	least, _ := s.days()
	_, most := o.days()
	return least >= most
}

// longer gives a span that is as long as both. Where neither is the longer one
// from every day on, it is counted in days, with the longest months.
func (s span) longer(o span) span {
	switch {
	case s.atLeast(o):
		return s
	case o.atLeast(s):
		return o
	}
	_, a := s.days()
	_, b := o.days()
	return span{uint32(max(a, b)), Days}
}
