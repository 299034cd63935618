package rpc

import (
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// Groups of roles that the table below uses.
var (
	everyRole = record.Roles()
	// depositors may put content into a vault: whoever may anchor.
	depositors = []record.Role{record.RoleDepartment}
	// readers may open content. Which records they may open is decided by
	// package custody: a department its own, the others by purpose.
	readers = []record.Role{record.RoleDepartment, record.RoleClerk, record.RoleCounsel, record.RoleLibraryCEO}
	// approvers may see which parts of a record an erasure is about, before they sign.
	approvers = append(slices.Clip(readers), record.RoleChiefAdmin, record.RoleStateRecords, record.RoleStateArchivist)
)

// wants says in words what the methods do that not every office may call.
var wants = map[string]string{
	apiv1.Departments_Deposit_FullMethodName:  "deposit content",
	apiv1.Departments_Search_FullMethodName:   "search the content of records",
	apiv1.Departments_Segments_FullMethodName: "list the parts of a record",
	apiv1.Departments_Read_FullMethodName:     "read the content of records",
	apiv1.Departments_Copy_FullMethodName:     "make copies of records",
	apiv1.Departments_Evidence_FullMethodName: "make evidence bundles",

	apiv1.Departments_PlanRedaction_FullMethodName: "plan redactions of records",
	apiv1.Departments_FileRedaction_FullMethodName: "file redactions of records",
	apiv1.Departments_Redactions_FullMethodName:    "see redactions of records",
}

// denied says what an office may not do, and which roles may.
func denied(office record.Code, method string) error {
	if forNodes[method] {
		return refuse(reasonDenied, "office %s may not exchange records with custodians: nodes may, with their own certificates", office)
	}
	what, named := wants[method]
	if !named {
		return refuse(reasonDenied, "no role of office %s may call %s", office, method)
	}
	return refuse(reasonDenied, "office %s may not %s: the roles that may are %s", office, what, strings.Join(roleNames(permissions[method]), ", "))
}

// permissions is who may call what over the network. A method that is missing
// may be called by nobody. The Operators service is not here: it listens on a
// unix socket. Nor is Custodians: see forNodes.
var permissions = map[string][]record.Role{
	apiv1.Departments_Deposit_FullMethodName:      depositors,
	apiv1.Departments_Submit_FullMethodName:       everyRole, // the ledger decides what an office may do
	apiv1.Departments_SubmitStream_FullMethodName: everyRole,
	apiv1.Departments_Receipt_FullMethodName:      everyRole,
	apiv1.Departments_Record_FullMethodName:       everyRole,
	apiv1.Departments_Search_FullMethodName:       readers,
	apiv1.Departments_Segments_FullMethodName:     readers,
	apiv1.Departments_Read_FullMethodName:         readers,
	apiv1.Departments_Copy_FullMethodName:         readers,
	apiv1.Departments_Evidence_FullMethodName:     readers,

	apiv1.Departments_PlanRedaction_FullMethodName: readers,
	apiv1.Departments_FileRedaction_FullMethodName: readers,
	apiv1.Departments_Redactions_FullMethodName:    approvers,

	apiv1.RecordsStaff_Due_FullMethodName:          everyRole, // codes and days, which the log holds too
	apiv1.RecordsStaff_Why_FullMethodName:          everyRole,
	apiv1.RecordsStaff_Dispositions_FullMethodName: everyRole,
	apiv1.RecordsStaff_Holds_FullMethodName:        everyRole,
	apiv1.RecordsStaff_Clock_FullMethodName:        everyRole,
	apiv1.RecordsStaff_Legality_FullMethodName:     everyRole,
	apiv1.RecordsStaff_Certificate_FullMethodName:  everyRole,

	apiv1.Auditors_Checkpoint_FullMethodName:       everyRole,
	apiv1.Auditors_Entry_FullMethodName:            everyRole,
	apiv1.Auditors_InclusionProof_FullMethodName:   everyRole,
	apiv1.Auditors_ConsistencyProof_FullMethodName: everyRole,
	apiv1.Auditors_StateProof_FullMethodName:       everyRole,
	apiv1.Auditors_Registry_FullMethodName:         everyRole,
	apiv1.Auditors_Network_FullMethodName:          everyRole,
}

// forNodes is what nodes may call, and nobody else may. Which sets of custodians a
// node may ask about is decided with each message.
var forNodes = map[string]bool{
	apiv1.Custodians_Compare_FullMethodName: true,
	apiv1.Custodians_Keep_FullMethodName:    true,
}
