package record

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muniment/muniment/app/retention"
)

// AnchorBatch anchors the records of one ledger day together, for series whose
// records must not be anchored one by one: one commitment an office, series and
// ledger day, also on days without records.
type AnchorBatch struct {
	Series     Code
	Custody    Code // empty: external
	Commitment Commitment
}

// RecordEvents states that something happened to records on a day: the events
// from which retention periods run.
type RecordEvents struct {
	Event   retention.Event // not Created, Audited or Superseded: these have facts of their own
	Day     Day
	Records []Index // ascending
}

// FileRecords says where records belong whose period is that of something
// else: the series that they follow, or the file that they were merged into.
type FileRecords struct {
	Series  Code  // the corresponding series; empty with File
	File    Index // anchor entry of the file; 0 with Series
	Records []Index
}

// PostAuditedThrough states that a department's accounts are audited up to a day.
type PostAuditedThrough struct {
	Department Code
	Through    Day
}

func (m *AnchorBatch) messageNumber() protowire.Number { return 18 }

func (m *AnchorBatch) appendMessage(b []byte) []byte {
	return appendBytes(appendCode(appendCode(b, 1, m.Series), 2, m.Custody), 3, m.Commitment[:])
}

func (m *AnchorBatch) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Series)
	case 2:
		return f.code(&m.Custody)
	case 3:
		return f.fixed(m.Commitment[:])
	}
	return f.unknown()
}

func (m *AnchorBatch) checkMessage() error {
	if !m.Series.Valid() || m.Custody != "" && !m.Custody.Valid() {
		return malformed("batch: series or custody")
	}
	return nil
}

func (m *RecordEvents) messageNumber() protowire.Number { return 19 }

func (m *RecordEvents) appendMessage(b []byte) []byte {
	b = appendDay(appendVarint(b, 1, uint64(m.Event)), 2, m.Day)
	return appendIndexes(b, 3, m.Records)
}

func (m *RecordEvents) visitMessage(f field) error {
	switch f.number {
	case 1:
		v, err := f.enum()
		m.Event = retention.Event(v)
		return err
	case 2:
		return f.day(&m.Day)
	case 3:
		return f.indexes(&m.Records)
	}
	return f.unknown()
}

func (m *RecordEvents) checkMessage() error {
	switch m.Event {
	case retention.Created, retention.Audited, retention.Superseded:
		return malformed("event %s is not recorded by hand", m.Event)
	}
	if !m.Event.Valid() || len(m.Records) == 0 || !ascendingIndexes(m.Records) {
		return malformed("events: event or records")
	}
	return nil
}

func (m *FileRecords) messageNumber() protowire.Number { return 20 }

func (m *FileRecords) appendMessage(b []byte) []byte {
	b = appendVarint(appendCode(b, 1, m.Series), 2, uint64(m.File))
	return appendIndexes(b, 3, m.Records)
}

func (m *FileRecords) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Series)
	case 2:
		return f.index(&m.File)
	case 3:
		return f.indexes(&m.Records)
	}
	return f.unknown()
}

func (m *FileRecords) checkMessage() error {
	if (m.Series == "") == (m.File == 0) || m.Series != "" && !m.Series.Valid() || m.File < 0 {
		return malformed("filing: name either a series or a file")
	}
	if len(m.Records) == 0 || !ascendingIndexes(m.Records) {
		return malformed("filing: records")
	}
	return nil
}

func (m *PostAuditedThrough) messageNumber() protowire.Number { return 21 }

func (m *PostAuditedThrough) appendMessage(b []byte) []byte {
	return appendDay(appendCode(b, 1, m.Department), 2, m.Through)
}

func (m *PostAuditedThrough) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Department)
	case 2:
		return f.day(&m.Through)
	}
	return f.unknown()
}

func (m *PostAuditedThrough) checkMessage() error {
	if !m.Department.Valid() {
		return malformed("audit: department")
	}
	return nil
}
