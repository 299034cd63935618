package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/muniment/muniment/app/receipt"
)

const maxCodesBytes = 4 << 20

var errCodes = errors.New("it is no list of exemption codes: make one with muniment exemptions list AUTHORITY-FILE --output json")

// readCodes reads what the codes of an exemption log are about, if a file says it.
func (o options) readCodes() (receipt.ExemptionCodes, error) {
	if o.exemptions == "" {
		return receipt.ExemptionCodes{}, nil
	}
	text, err := readFile(o.exemptions, maxCodesBytes)
	if err != nil {
		return receipt.ExemptionCodes{}, err
	}
	codes, err := parseCodes(text)
	if err != nil {
		return receipt.ExemptionCodes{}, fmt.Errorf("%s: %w", o.exemptions, err)
	}
	return codes, nil
}

// parseCodes reads the JSON that muniment exemptions list prints. It is not
// evidence: a code is explained by it, and proven by the bundle alone. What
// would not be visible as it is read is made so.
func parseCodes(text []byte) (receipt.ExemptionCodes, error) {
	var codes receipt.ExemptionCodes
	if err := json.Unmarshal(text, &codes); err != nil || codes.Authority == "" || codes.Dated == "" || len(codes.Codes) == 0 {
		return receipt.ExemptionCodes{}, errCodes
	}
	seen := map[string]bool{}
	for i, c := range codes.Codes {
		if c.Code == "" || strings.TrimSpace(c.Subject) == "" || seen[c.Code] {
			return receipt.ExemptionCodes{}, fmt.Errorf("%w: code %d has no name or subject, or is there twice", errCodes, i+1)
		}
		seen[c.Code] = true
		codes.Codes[i].Subject, codes.Codes[i].Citation = printable(c.Subject), printable(c.Citation)
	}
	return codes, nil
}
