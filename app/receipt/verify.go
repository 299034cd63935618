package receipt

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// clockSkew is how much later than the cosigners' clocks the time of the
// block may be: CometBFT tolerates as much between validators.
const clockSkew = 60 * time.Second

// Verify judges a receipt against a network file, as docs/spec/receipt.md
// says. A receipt that does not hold is a verdict, not an error; an error says
// that the network is not sound.
func Verify(n Network, text []byte) (Verdict, error) { return VerifyWith(n, text, nil) }

// VerifyWith is [Verify] for receipts of a closed era: toPin proves that the
// last tree of the era contains the receipt's tree.
func VerifyWith(n Network, text []byte, toPin tlog.TreeProof) (Verdict, error) {
	v := newVerdict(n)
	return v.conclude(v.receipt(n, text, toPin))
}

// receipt takes the steps in order and ends at the first that does not hold.
func (v *Verdict) receipt(n Network, text []byte, toPin tlog.TreeProof) error {
	r, standing, err := n.checkTree(receiptForm, text, toPin)
	if err != nil {
		return err
	}
	entry, err := parseEntry(r.Entry, r.Index)
	if err != nil {
		return err
	}
	p, err := sortParts(entry, r.Index, r.Leaves)
	if err != nil {
		return err
	}
	if err := checkGenesis(n, entry); err != nil {
		return err
	}
	if err := p.checkPlaces(r.Index); err != nil {
		return err
	}
	if err := p.checkSignature(entry); err != nil {
		return err
	}
	message, err := p.checkBody(n.ID, entry, r.Index)
	if err != nil {
		return err
	}
	if err := checkClocks(p.block.Time, standing); err != nil {
		return err
	}
	v.tree(standing)
	v.entry(entry, r.Index, r.Entry)
	v.block(*p.block, p.blockIndex)
	v.act(entry, p, message)
	return nil
}

// checkTree takes steps 1 to 7: the entry and every part are in the signed tree.
func (n Network) checkTree(f form, text []byte, toPin tlog.TreeProof) (Receipt, Standing, error) {
	r, err := f.parse(text)
	if err != nil {
		return Receipt{}, Standing{}, refuse(Malformed, "%v", err)
	}
	standing, err := n.checkSignatures(r.Checkpoint)
	if err != nil {
		return Receipt{}, Standing{}, err
	}
	if !inTree(r.Checkpoint, r.Index, r.Entry, r.Proof) {
		return Receipt{}, Standing{}, refuse(EntryNotInTree, "the inclusion proof of entry %d does not lead to the signed root", r.Index)
	}
	for _, l := range r.Leaves {
		if !inTree(r.Checkpoint, l.Index, l.Entry, l.Proof) {
			return Receipt{}, Standing{}, refuse(PartNotInTree, "the inclusion proof of entry %d does not lead to the signed root", l.Index)
		}
	}
	return r, standing, n.checkEra(standing, toPin)
}

func parseEntry(raw []byte, index int64) (record.Entry, error) {
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return nil, refuse(UnknownEntry, "entry %d is of no kind that this program knows", index)
	}
	return entry, nil
}

// checkGenesis compares the first entry of the log with the network file.
func checkGenesis(n Network, entry record.Entry) error {
	g, ok := entry.(record.GenesisEntry)
	if ok && (g.Network != n.ID || g.ChainID != n.ChainID || g.Origin != n.Origin) {
		return refuse(WrongNetwork, "the log began as another network than that of the file")
	}
	return nil
}

// checkClocks compares the time of a block with the cosignatures that came after it.
func checkClocks(block int64, s Standing) error {
	notAfter := time.Unix(s.CityTime, 0)
	if time.Unix(0, block).After(notAfter.Add(clockSkew)) {
		return refuse(ClocksDisagree, "the block is of %s, yet was cosigned by %s", clock(block), notAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// conclude turns the error of the steps into the outcome.
func (v *Verdict) conclude(err error) (Verdict, error) {
	refusal, ok := errors.AsType[*Refusal](err)
	switch {
	case err == nil:
		v.Outcome = Passed
	case ok:
		v.Outcome = refusal.Reason.Outcome()
		v.Reasons = []Reason{refusal.Reason}
		v.Detail = refusal.Detail
	default:
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	return *v, nil
}
