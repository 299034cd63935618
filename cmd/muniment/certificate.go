package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) certificateCommand() *cobra.Command {
	var file, department string
	var disposition uint64
	c := &cobra.Command{
		Use: "certificate RECORD", Short: "Fetch and verify the certificate of destruction of a record",
		Long: "The record, or parts of it, were to be destroyed under a disposition that is locked. The certificate says in words\n" +
			"what was destroyed, by which rule and whose approvals, that no hold stood, what each custodian has reported and\n" +
			"claims, and which copies were given out before; with the proof of all of it, and blank attestations that an office\n" +
			"completes and swears to. It is verified before it is written; muniment-verify checks it offline, for ever. Texts of\n" +
			"reports that other custodians keep are fetched from their nodes. While a report is due it says NOT COMPLETE.",
		Example: "  muniment certificate 42 -o 42.certificate\n  muniment-verify --network network.mun 42.certificate",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVarP(&file, "out", "o", "", "file to write it to (default: standard output)")
	c.Flags().Uint64Var(&disposition, "disposition", 0, "under which disposition (default: the last that destroys)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			verdict, text, err := (&certifier{session: s}).certificate(c.Context(), a.ref(), a.index, disposition)
			if err != nil {
				return err
			}
			if err := notComplete(verdict); err != nil {
				if file == "" || file == fromStdin {
					return err
				}
				return errors.Join(p.deliver(file, text), err)
			}
			return p.deliverReceipt(verdict, text, file)
		})
	}
	return c
}

// certifier fetches certificates, and remembers the texts of reports: one report
// is about many records.
type certifier struct {
	*session
	known receipt.Parts
}

// certificate fetches the certificate of a record and verifies it. What it gives
// PASSED, or is not complete yet.
func (s *certifier) certificate(ctx context.Context, ref *apiv1.RecordRef, index, disposition uint64) (receipt.Verdict, []byte, error) {
	request := &apiv1.CertificateRequest{Record: ref, Disposition: disposition}
	said, err := staffCall(ctx, s.session, apiv1.RecordsStaffClient.Certificate, request)
	if codeOf(err) == exitNotFound {
		return receipt.Verdict{}, nil, failed(exitNotFound, "NOT_FOUND", "muniment record show RECORD says what became of it; of a record that a hold preserved name it with --disposition", "nothing of record %d is destroyed, or is to be, under such a disposition", index)
	}
	if err != nil {
		return receipt.Verdict{}, nil, err
	}
	text := said.File
	v, err := receipt.VerifyCertificate(s.network, text)
	if err == nil && v.Outcome == receipt.Indeterminate && v.Reasons[0] == receipt.PartMissing {
		text = s.withTexts(ctx, text, request)
		v, err = receipt.VerifyCertificate(s.network, text)
	}
	if err != nil {
		return receipt.Verdict{}, nil, err
	}
	if notComplete(v) != nil {
		return v, text, nil
	}
	if err := verdictError(v); err != nil {
		return receipt.Verdict{}, nil, err
	}
	if uint64(v.Certificate.Record) != index {
		return receipt.Verdict{}, nil, failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node gave the certificate of another record than %d", index)
	}
	return v, text, nil
}

// notComplete says what a certificate lacks that is sound otherwise.
func notComplete(v receipt.Verdict) error {
	if v.Outcome != receipt.Indeterminate {
		return nil
	}
	switch v.Reasons[0] {
	case receipt.ReportsDue:
		return failed(exitIndeterminate, "REPORTS_DUE", "ask again when they have reported: muniment disposition show DISPOSITION", "%s", printable(v.Detail))
	case receipt.PartMissing:
		return failed(exitIndeterminate, "PART_MISSING", "the custodian's node keeps the text: ask again when it answers", "%s", printable(v.Detail))
	}
	return nil
}

// withTexts adds the texts of reports that other nodes keep, as far as they
// answer. Those that are known are not asked for again.
func (s *certifier) withTexts(ctx context.Context, certificate []byte, request *apiv1.CertificateRequest) []byte {
	_, parts, _, err := receipt.ParseCertificate(certificate)
	if err != nil {
		return certificate
	}
	parts.AddTexts(s.known)
	for _, node := range s.network.Nodes {
		if node.ID == s.node.ID || !parts.LacksTexts() {
			continue
		}
		other := &session{program: s.program, network: s.network, node: node, account: s.account, access: s.access}
		said, err := staffCall(ctx, other, apiv1.RecordsStaffClient.Certificate, request)
		other.disconnect()
		if err != nil {
			s.program.say("node %.8s did not answer: %s", node.ID, printable(err.Error()))
			continue
		}
		if _, theirs, _, err := receipt.ParseCertificate(said.File); err == nil {
			parts.AddTexts(theirs)
		}
	}
	s.known.Reports = parts.Reports
	whole, err := receipt.NewCertificate(s.network, parts)
	if err != nil {
		return certificate
	}
	return whole
}

// disconnect ends the connections, and leaves the keys to whose they are.
func (s *session) disconnect() {
	s.access, s.signing = nil, nil
	s.close()
}

// certificatesResult is what disposition certificates prints.
type certificatesResult struct {
	Disposition uint64               `json:"disposition"`
	Results     map[string]int       `json:"results"` // how many records of each result
	Files       []certificateWritten `json:"files"`
}

type certificateWritten struct {
	Record uint64 `json:"record"`
	Result string `json:"result"`
	File   string `json:"file"`
}

func (p *program) certificatesCommand() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use: "certificates DISPOSITION --out DIR", Short: "Fetch and verify the certificates of destruction of all records of a disposition",
		Long: "One file for each record, named RECORD.certificate, each verified before it is written. Where a report is due, or a\n" +
			"node that keeps the text of one does not answer, the files say so and the command ends with exit code 4.",
		Example: "  muniment disposition certificates 1234 --out certificates",
		Args:    exactly(1, "one disposition"),
	}
	c.Flags().StringVar(&folder, "out", "", "folder to write them to; it is made where it is not there (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		if folder == "" {
			return usage("where to? give --out DIR")
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		d, err := s.proposedDisposition(c.Context(), index)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		result, err := s.certificates(c.Context(), d, folder)
		if err != nil && len(result.Files) == 0 {
			return err
		}
		return errors.Join(p.showCertificates(result), err)
	}
	return c
}

// certificates writes the certificate of every record of a disposition. The error
// says what the first one lacks that is not complete.
func (s *session) certificates(ctx context.Context, d proposed, folder string) (result certificatesResult, lacks error) {
	result = certificatesResult{Disposition: uint64(d.index), Results: map[string]int{}, Files: []certificateWritten{}}
	certifier := &certifier{session: s}
	step, done := s.program.bar("certifying", len(d.message.Records))
	defer done()
	for _, index := range d.message.Records {
		ref := &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(index)}}
		v, text, err := certifier.certificate(ctx, ref, uint64(index), uint64(d.index))
		if err != nil {
			return result, err
		}
		one := certificateWritten{Record: uint64(index), Result: receipt.Incomplete, File: filepath.Join(folder, fmt.Sprintf("%d.certificate", index))}
		if v.Certificate != nil {
			one.Result = v.Certificate.Result
		} else if lacks == nil {
			lacks = notComplete(v)
		}
		if err := writeOutput(one.File, text); err != nil {
			return result, err
		}
		result.Files = append(result.Files, one)
		result.Results[one.Result]++
		step()
	}
	return result, lacks
}

func (p *program) showCertificates(r certificatesResult) error {
	err := p.show(r, func(w io.Writer) {
		for _, f := range r.Files {
			fmt.Fprintf(w, "%d\t%s\t%s\n", f.Record, f.Result, printable(f.File))
		}
	})
	if err == nil && len(r.Files) > 0 {
		p.say("next: muniment-verify --network FILE %s", printable(r.Files[0].File))
	}
	return err
}

// bar shows progress where people watch; step moves it, done takes it away.
func (p *program) bar(what string, total int) (step, done func()) {
	if !p.stderrTerminal || p.output != "text" || total < 2 {
		return func() {}, func() {}
	}
	progress := mpb.New(mpb.WithOutput(p.stderr), mpb.WithWidth(40))
	bar := progress.AddBar(int64(total), mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(what+" "), decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.AverageETA(decor.ET_STYLE_GO)))
	return bar.Increment, func() {
		bar.Abort(true) // nothing where it is complete
		progress.Wait()
	}
}
