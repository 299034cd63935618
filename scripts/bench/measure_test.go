package main

import (
	"strings"
	"testing"
)

func TestQuantiles(t *testing.T) {
	s := samples{9, 1, 5, 3, 7}
	for _, c := range []struct{ got, want float64 }{
		{s.median(), 5}, {s[:4].median(), 4}, {samples(nil).median(), 0},
		{s.quantile(0), 1}, {s.quantile(0.2), 1}, {s.quantile(0.21), 3}, {s.quantile(0.99), 9}, {s.quantile(1), 9},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if s[0] != 9 {
		t.Error("the samples were sorted in place")
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0.128: "0.13", 9.5: "9.50", 12.34: "12.3", 999.4: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	base := samples{100, 200, 300}
	for _, c := range []struct {
		name string
		r    result
		want string
	}{
		{"half is enough", result{ours: samples{100}, base: base, target: ratioAtLeast(0.5, "")}, "reached"},
		{"less than half", result{ours: samples{99}, base: base, target: ratioAtLeast(0.5, "")}, "MISSED"},
		{"too slow", result{ours: samples{501}, base: base, target: ratioAtMost(2.5, "")}, "MISSED"},
		{"fast enough", result{ours: samples{30}, target: atMost(30, "")}, "reached"},
		{"nothing to reach", result{ours: samples{30}}, "-"},
		{"without a figure", result{target: atMost(30, "")}, "-"},
		{"not run", result{notRun: "one\ntwo", target: atMost(30, "")}, "not run: one; two"},
	} {
		if got := c.r.verdict(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEveryRowIsInTheTable(t *testing.T) {
	late := result{name: "takes long", target: target{text: "30 ms"}, notRun: "interrupted"}
	shown := table{rounds: 5, results: []result{{name: "a | b", ours: samples{1, 2, 3}, unit: "ms"}, late}}
	for _, text := range []string{shown.text(), shown.markdown()} {
		if !strings.Contains(text, late.name) || !strings.Contains(text, "not run: "+late.notRun) {
			t.Errorf("%q is not in\n%s", late.name, text)
		}
	}
	if line := `| a \| b | 2.00 [1.00..3.00] ms |`; !strings.Contains(shown.markdown(), line) {
		t.Errorf("%q is not in\n%s", line, shown.markdown())
	}
}
