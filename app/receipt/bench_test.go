package receipt

import "testing"

func BenchmarkVerify(b *testing.B) {
	networks := goldenNetworks()
	for _, g := range goldens(b) {
		b.Run(g.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := g.verify(b, networks, g.text); v.Outcome != Passed {
					b.Fatal(v.Detail)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	w := newWorld(b, goldenNetworks()["city"])
	r, err := Parse(w.receipt(atLast+1, atSingle))
	if err != nil {
		b.Fatal(err)
	}
	signed := r.Checkpoint.Marshal()
	for b.Loop() {
		if _, err := New(r.Entry, r.Index, r.Proof, r.Leaves, signed); err != nil {
			b.Fatal(err)
		}
	}
}
