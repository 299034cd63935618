package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// purposes are why content is read: the custodian writes it to the access log.
var purposes = map[string]apiv1.Purpose{
	"case-work":      apiv1.Purpose_PURPOSE_CASE_WORK,
	"public-request": apiv1.Purpose_PURPOSE_PUBLIC_REQUEST,
	"legal":          apiv1.Purpose_PURPOSE_LEGAL,
	"audit":          apiv1.Purpose_PURPOSE_AUDIT,
	"operation":      apiv1.Purpose_PURPOSE_OPERATION,
}

func purposeNames() []string { return slices.Sorted(maps.Keys(purposes)) }

func purposeFlag(c *cobra.Command, purpose *string) {
	c.Flags().StringVar(purpose, "purpose", "case-work", "why the content is read: "+strings.Join(purposeNames(), ", "))
	fixed := cobra.FixedCompletions(purposeNames(), cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc("purpose", fixed); err != nil {
		panic(err) // the flag is there
	}
}

func parsePurpose(name string) (apiv1.Purpose, error) {
	purpose, ok := purposes[name]
	if !ok {
		return 0, usage("purpose %q: use one of %s", name, strings.Join(purposeNames(), ", "))
	}
	return purpose, nil
}
