package chaos

import "slices"

// judgeContents wants what a custodian gave out to be what was deposited, and nothing
// of it where the answer is no.
func judgeContents(history []*attempt) (all []violation) {
	deposited := map[hexBytes]string{}
	for _, a := range history {
		if a.Kind == deposits {
			deposited[a.Commitments[0]] = a.Content
		}
	}
	for _, a := range history {
		if a.Kind != openings {
			continue
		}
		if want := deposited[a.Commitments[0]]; a.Outcome == outcomeOK && a.Content != want {
			all = append(all, violated("I-03", "%s: node %d gave %q, deposited was %q", a.ID, a.Node, a.Content, want))
		} else if a.Outcome != outcomeOK && want[:min(len(want), len(a.Content))] != a.Content {
			all = append(all, violated("I-03", "%s: node %d refused (%s), and gave %q", a.ID, a.Node, a.Reason, a.Content))
		}
	}
	return all
}

// kept lists the deposits that were anchored, with the index of their records.
func kept(history []*attempt) (all []*attempt) {
	content := map[hexBytes]string{}
	for _, a := range history {
		if a.Kind == deposits && a.Outcome == outcomeOK {
			content[a.Commitments[0]] = a.Content
		}
	}
	for _, a := range history {
		if a.Kind == anchors && a.Outcome == outcomeOK && len(a.Commitments) == 1 && content[a.Commitments[0]] != "" {
			one := *a
			one.Content = content[a.Commitments[0]]
			all = append(all, &one)
		}
	}
	return slices.Clip(all)
}
