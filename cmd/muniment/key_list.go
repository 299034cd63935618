package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func (p *program) keyListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the keys that are here", Args: exactly(0, "no argument")}
	c.RunE = func(*cobra.Command, []string) error {
		config, err := p.places.loadConfig()
		if err != nil {
			return err
		}
		result := struct {
			Keys []keyInfo `json:"keys"`
		}{Keys: []keyInfo{}}
		for _, office := range slices.Sorted(maps.Keys(config.Keys)) {
			infos, err := config.Keys[office].infos(office)
			if err != nil {
				return err
			}
			result.Keys = append(result.Keys, infos...)
		}
		return p.show(result, func(w io.Writer) {
			for _, k := range result.Keys {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Office, k.Use, k.ID, k.Public)
			}
		})
	}
	return c
}
