//go:build chaos

package chaos

import "time"

// A fault is what the nemesis did.
type fault struct {
	kind     string
	from, to time.Duration // since the city began
}
