package receipt

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/app/record"
)

// statement writes what the proof of a certificate says, in words for whoever
// keeps or receives it. It depends on the proof and on the network's name alone.
func (c *certificateCase) statement(n Network) string {
	p := &page{}
	p.line("")
	c.summary(p, n)
	c.what(p)
	c.rule(p)
	c.approvals(p)
	c.holds(p)
	p.heading("5. Who had to report, and what was reported")
	p.words("Disposition %d was final with its lock. By the state of the ledger after block %d, %s, these had to report on it. "+
		"Each report below is signed by whoever gave it.", c.legality.Disposition, c.state.Height, moment(c.state.Time))
	for i := range c.reports {
		p.line("")
		c.reports[i].write(p)
	}
	c.copies(p)
	c.unclaimed(p)
	return p.b.String()
}

func moment(unixNanos int64) string { return time.Unix(0, unixNanos).UTC().Format(time.RFC3339) }

// summary says in one paragraph what the page certifies.
func (c *certificateCase) summary(p *page, n Network) {
	l, result := c.legality, c.result()
	parts := c.disposition.Action == record.ActionRedact
	switch result {
	case Destroyed:
		p.line("CERTIFICATE OF DESTRUCTION")
	case Redacted:
		p.line("CERTIFICATE OF ERASURE OF PARTS OF A RECORD")
	case Preserved:
		p.line("RECORD PRESERVED: NO CERTIFICATE OF DESTRUCTION")
	case Absent:
		p.line("NOTHING FOUND: NO CERTIFICATE OF DESTRUCTION")
	default:
		p.line("NOT COMPLETE: NO CERTIFICATE OF DESTRUCTION")
	}
	p.line("")
	subject := fmt.Sprintf("Record %d of %s", l.Record, l.Office)
	if parts {
		subject = "Parts of record " + strings.TrimPrefix(subject, "Record ")
	}
	switch result {
	case Destroyed:
		p.words("%s was destroyed under disposition %d, by the reports of all who had to give one. How far that reaches is said in the claim of each report, in part 5.", subject, l.Disposition)
	case Redacted:
		p.words("%s were erased under disposition %d, by the reports of all who had to give one. How far that reaches is said in the claim of each report, in part 5. "+
			"The rest of the record lives on, and still verifies.", subject, l.Disposition)
	case Preserved:
		p.words("%s: after the lock of disposition %d the content was preserved by those who say so in part 5. That is done under a hold that came after the lock; whether one did is on the ledger, "+
			"and not proven here. It lives on under its holds and its rule.", subject, l.Disposition)
	case Absent:
		p.words("%s: everybody who had to report on disposition %d says that there was nothing of it.", subject, l.Disposition)
	default:
		p.words("%s, disposition %d. %s.", subject, l.Disposition, c.complete().(*Refusal).Detail)
	}
	p.line("")
	p.row("Network", "%s, %s", n.ChainID, n.Origin)
	p.row("", "%s", hex.EncodeToString(n.ID[:]))
	p.line("")
	p.words("Everything above the line \"%s\" follows from the proof that begins further down. Anybody who has the network file can check it, word for word, "+
		"without any computer of the city: muniment-verify --network NETWORK.mun FILE. Offices act here; no person is named. Times are of blocks, which the validators "+
		"agreed on; ledger days begin at 12:00 UTC.", strings.TrimSuffix(proofEnds, "\n"))
}

func (c *certificateCase) what(p *page) {
	l := c.legality
	p.heading("1. The record")
	p.row("Record", "entry %d of the log", l.Record)
	p.row("Commitment", "%s", c.commitment)
	p.row("Department", "%s", l.Office)
	p.row("Series", "%s", l.Series)
	p.row("Date", "%s", l.Date)
	p.row("Anchored", "%s", l.Anchored.words())
	p.line("")
	p.words("The commitment stands for the exact content. It was made with secret random numbers, without which nobody can test a guess against it; they shared the fate of the content. " +
		"A date at the end of a month or of a year may stand for any day of it.")
	if l.Redaction != "" {
		p.line("")
		p.row("Redaction", "%s", l.Redaction)
		p.line("")
		p.words("The redaction is the list of the parts that were to be erased, each with an exemption code, by its hash. The list itself is not here, since positions can tell something too.")
	}
}

func (c *certificateCase) rule(p *page) {
	l := c.legality
	p.heading("2. Series, rule and authority")
	for _, r := range l.Rules {
		p.row("Citation", "%s, version %d of schedule %s", r.Series, r.Version, r.Schedule)
		p.row("Rule", "%s", r.Rule)
		p.row("Stated", "entry %d; adopted by entry %d, in force from %s", r.Entry, r.Adopted, r.Effective)
		p.row("Approvals", "%s", orNone(r.Approvals))
	}
	for _, f := range l.Facts {
		p.row("Fact", "%s, stated %s", f.What, f.words())
	}
	for _, s := range l.Why {
		p.row("Reckoned", "%s", strings.TrimSpace(s))
	}
	if l.Due != "" {
		p.row("Due", "%s", l.Due)
	} else {
		p.row("Due", "not yet: approved ahead of the schedule")
	}
	p.line("")
	if l.Series.Demonstration() {
		p.line("Authority: none. This is a demonstration, not a records schedule.")
		p.words("A series whose code begins with DEMO- is of no schedule of the Public Records Administrator: what stands above shows how records are disposed of here, " +
			"and authorizes the destruction of no public record.")
		return
	}
	p.words("Authority: Conn. Gen. Stat. 7-109, by which a municipality destroys a record when its period has run, no law requires keeping it, and the chief administrative officer " +
		"and the Public Records Administrator approve; nothing dated before 1900 without the Administrator's express written approval. Which approvals the rule asks for " +
		"stands above, which were given below.")
}

func (c *certificateCase) approvals(p *page) {
	l := c.legality
	p.heading("3. Proposal, approvals, lock")
	p.row("Proposed", "%s", l.Proposed.words())
	for _, d := range l.Approvals {
		p.row("Approved", "%s", d.words())
	}
	if l.Standing != "" {
		p.row("Authorized", "%s", l.Standing)
	}
	if l.Notice != nil {
		p.row("Notice", "the persons concerned were told on %s, stated %s", l.Notified, l.Notice.words())
	}
	p.row("Locked", "%s", l.Locked.words())
	p.line("")
	p.words("The disposition was of %s. Whoever approved signed the very list that was locked. Every role that is asked for was filled by an office of its own.", counted(l.Records, "record"))
}

func (c *certificateCase) holds(p *page) {
	p.heading("4. Hold check")
	p.words("No hold stood on the record at the lock, and no office with a part in the disposition placed or released one on it after the proposal: by the state after block %d, %s, "+
		"in which every hold that ever covered the record is kept.", c.held.Height, c.held.Time.Format(time.RFC3339))
	if len(c.held.Holds) == 0 {
		p.words("No hold ever covered it.")
	}
	for _, h := range c.held.Holds {
		p.row("Hold", "%s", h.text())
	}
}

// words tells of a deed.
func (d Deed) words() string {
	roles := ""
	if len(d.Roles) > 0 {
		roles = " (" + strings.Join(d.Roles, ", ") + ")"
	}
	return fmt.Sprintf("by %s%s, %s, ledger day %s, entry %d", d.Office, roles, d.Time.Format(time.RFC3339), d.LedgerDay, d.Entry)
}

// write says what one of those who had to report has said.
func (r *reported) write(p *page) {
	if r.Office != "" {
		p.row("Office", "%s", r.Office)
	} else {
		p.row("Custodian", "%x", r.Custodian)
	}
	if r.Report.Entry == 0 {
		p.row("Report", "DUE: it has not reported")
		return
	}
	p.row("Report", "entry %d, %s, ledger day %s", r.Report.Entry, moment(r.deed.block.Time), r.deed.day())
	p.row("Outcome", "%s", r.outcomeWords())
	if r.claims() {
		p.row("Claim", "%s", r.claim().Says())
	}
	switch {
	case r.lacksText():
		p.row("Text", "missing: the report names a text with SHA-256 %x", r.said.Report)
	case r.text == nil && r.said.Report != [32]byte{}:
		p.row("Text", "kept by the office, SHA-256 %x", r.said.Report)
	case r.text == nil:
		p.row("Text", "none was given: nothing is known of copies that were given out")
	default:
		r.details(p)
	}
}

func (r *reported) outcomeWords() string {
	switch r.outcome {
	case record.RecordErased:
		return "destroyed" + r.extent()
	case record.RecordRedacted:
		return "the parts that were to be erased were destroyed" + r.extent()
	case record.RecordPreserved:
		return "PRESERVED: the content is as it was"
	}
	return "it had nothing of the record"
}

// extent keeps an outcome from saying more than the claim.
func (r *reported) extent() string {
	if r.claim() == 0 {
		return ", by the word of whoever reports"
	}
	return ", as far as the claim says"
}

// details writes what the text of a report says of the record.
func (r *reported) details(p *page) {
	p.row("Text", "SHA-256 %x", r.said.Report)
	p.row("Carried out", "on %s by the custodian's clock; keys kept in a %s", r.text.Day, deviceWords(r.text.Device))
	p.row("Last look", "the log was followed to entry %d before any key was destroyed", r.text.Followed)
	for _, g := range r.text.Rings {
		p.row("Keys", "ring %s %s, key of epoch %d replaced by that of epoch %d: %s sealed again, %d ended; %s with %s searched for %s, and none found",
			g.Office, g.Class, g.From, g.To, counted(int64(g.Kept), "state"), g.Ended, counted(int64(g.Files), "file"), counted(int64(g.Bytes), "byte"), counted(int64(g.Needles), "piece"))
	}
	if r.about.Attempts > 0 {
		p.row("Also", "%s of the same bytes, never anchored, erased with it", counted(r.about.Attempts, "other deposit"))
	}
	if r.about.Alike > 0 {
		p.row("Alike", "%s of the department with the same bytes, which live on under their own rules", counted(r.about.Alike, "other record"))
	}
}

func deviceWords(device string) string {
	if device == "PKCS#11" {
		return "PKCS#11 device"
	}
	return device
}

// copies lists what was given out before, as far as it is known.
func (c *certificateCase) copies(p *page) {
	p.heading("6. Copies that were given out before and cannot be recalled")
	known := false
	for i := range c.reports {
		r := &c.reports[i]
		if r.text == nil || r.about.Released == 0 {
			continue
		}
		known = true
		p.words("Custodian %x: content was given out %s.", r.Custodian, counted(r.about.Released, "time"))
		for _, x := range r.about.Releases {
			extent := "parts hidden"
			if x.Whole {
				extent = "whole"
			}
			p.wrapped("  "+x.Day.String()+" ", strings.Repeat(" ", nameWidth), fmt.Sprintf("%s, to %s, %s%s", x.Kind, x.Office, extent, digestWords(x.Digest)))
		}
		if more := r.about.Released - int64(len(r.about.Releases)); more > 0 {
			p.words("Not listed: the %s before these.", counted(more, "time"))
		}
	}
	if !known {
		p.words("The reports know of none.")
	}
}

func digestWords(digest [32]byte) string {
	if digest == [32]byte{} {
		return ""
	}
	return fmt.Sprintf(", SHA-256 %x", digest)
}

// unclaimed says what the certificate does not.
func (c *certificateCase) unclaimed(p *page) {
	p.heading("7. What is not claimed")
	p.point("-", "That copies which were given out before are gone: nobody can recall them, and whoever has a whole one has the content.")
	p.point("-", "More about keys and media than the claims in part 5 say. A report is the word of the custodian that signed it; no program can look into a device.")
	p.point("-", "What the record said. Nobody can prove that any more, the city included: it was this series, date and number.")
	p.point("-", "That rules, facts and roles were all that there were: consensus says so. A replay of the log (muniment-verify replay) proves it.")
	p.line("")
}
