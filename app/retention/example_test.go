package retention_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/app/retention"
)

func Example() {
	rule, err := retention.Parse("later of (3 years after created, until audited)")
	if err != nil {
		fmt.Println(err)
		return
	}
	facts := retention.Facts{Created: retention.DayOf(2024, time.January, 15), FiscalStart: time.July}
	verdict := retention.Evaluate(rule, facts, retention.DayOf(2028, time.March, 1), nil)
	fmt.Println(verdict.Status, verdict.Missing)
	for _, step := range verdict.Why {
		fmt.Println(strings.Repeat("  ", step.Depth) + step.Text)
	}
	// Output:
	// waiting [the audit of the fiscal year that ends 30 June 2024]
	// later of two periods: kept until each of them has ended
	//   3 years after created (15 January 2024): ended on 15 January 2027
	//   until audited: the audit of the fiscal year that ends 30 June 2024 has not been posted
}

func ExampleParse() {
	_, err := retention.Parse("3 years after clsed")
	fmt.Println(err)
	// Output:
	// retention rule, character 15: "clsed" is no event: write one of created, closed, audited, superseded, terminated, resolved, list-ended, demolished, accredited, election, left, suspended, completed, need-ended, inactive, disposed
}
