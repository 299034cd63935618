// Package restore proves on the shipped program that nothing comes back from a
// backup which was to be forgotten, and that a backup is good for the rest.
//
// A custodian keeps 1,100 records in one ring and destroys 1,000 of them. Backups
// of before and after are put back onto its home in every combination: data and
// keyring, either of them, parts of the data, another node's. From the first
// moment of the start somebody asks for records. Whatever is put back:
//   - nothing of a destroyed record is ever given out;
//   - in the end everything else is, and the node works, or it has refused to
//     start with a reason that has a name.
//
// Backup and restore are killed at each of their steps too, by crash points of a
// program built with the tag crashtest: what is left is no backup, or a whole one,
// and no home that starts with half of what was put back.
//
// There is nothing but tests here.
package restore
