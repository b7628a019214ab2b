// Package call holds the words of a call as plain data, shared by every room of the house: [Info], [Party], [Role],
// [Cause], [Event].
//
// It does nothing: no sockets, no files, no goroutines. endpoint fills an [Info]; media carries [Event] values in its
// batches; recorder writes them down; console counts them by [Cause].
//
// # Usage
//
//	info := call.Info{ID: "s-a0d7", Sessions: []string{"s-a0d7"}, Expected: []call.Party{{Role: call.RoleCustomer}, {Role: call.RoleAgent}}}
//
// # Concurrency
//
// Values are plain data and are copied; nobody changes one after handing it on.
//
// # Standards
//
// JSON forms follow docs/format/recording.md.
package call
