package catalog

import (
	"errors"

	"modernc.org/sqlite"
)

// SQLite's result codes, https://sqlite.org/rescode.html; the low octet is the primary one.
const (
	codeBusy    = 5
	codeLocked  = 6
	codeCorrupt = 11
	codeSchema  = 1 // a table that is not there, a column that is another
	codeNotADB  = 26
)

// errDamaged is a catalog that is of no use.
var errDamaged = errors.New("damaged")

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// damaged tells whether a catalog has to be made anew.
func damaged(err error) bool {
	c := code(err)
	return errors.Is(err, errDamaged) || c == codeCorrupt || c == codeNotADB || c == codeSchema
}

// busy tells whether another process has the catalog to itself just now.
func busy(err error) bool { c := code(err); return c == codeBusy || c == codeLocked }
