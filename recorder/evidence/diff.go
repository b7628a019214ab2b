package evidence

import "golang.org/x/mod/sumdb/tlog"

const (
	// diffReach is how many leaves in a row may be gone for the one after them to be known again.
	diffReach = 256
	// maxNamed bounds the lines that are named one by one.
	maxNamed = 1000
)

// diff compares the lines of a log, as they come, with the hashes that the log noted of its leaves, and says which are gone, changed, or new.
type diff struct {
	noted func(leaf int64) (tlog.Hash, bool)

	next    int64 // the leaf that the next line should be
	suspect *wrong
	gone    []wrong // leaves that no line is
	strange []wrong // lines that are no leaf
	changed []wrong // lines in the place of a leaf
	more    bool    // there were more than can be named
}

// wrong is a line or a leaf, from 0, and its hash.
type wrong struct {
	at   int64
	hash tlog.Hash
	leaf int64 // of a suspect: which leaf it should be
}

// line takes the next line.
func (d *diff) line(n int64, h tlog.Hash) {
	if d.suspect == nil {
		if want, ok := d.noted(d.next); ok && want == h {
			d.next++
			return
		}
		if d.ahead(h) {
			return
		}
		d.suspect = &wrong{n, h, d.next}
		d.next++
		return
	}
	s := *d.suspect
	if want, ok := d.noted(s.leaf); ok && want == h { // the line before was put in
		d.suspect, d.next = nil, s.leaf+1
		d.strange = d.keep(d.strange, s)
		return
	}
	if want, ok := d.noted(d.next); ok && want == h { // it stood for a leaf
		d.suspect = nil
		d.changed = d.keep(d.changed, s)
		d.next++
		return
	}
	d.suspect, d.next = nil, s.leaf
	if d.ahead(h) { // put in where others were taken out: the first of them is the one that it stands for
		d.changed = d.keep(d.changed, s)
		if k := len(d.gone) - 1; k >= 0 {
			for i := range d.gone {
				if d.gone[i].at == s.leaf {
					d.gone = append(d.gone[:i], d.gone[i+1:]...)
					break
				}
			}
		}
		return
	}
	d.changed = d.keep(d.changed, s)
	d.suspect = &wrong{n, h, s.leaf + 1}
	d.next = s.leaf + 2
}

// ahead looks whether a line is a leaf that comes later: those between are gone.
func (d *diff) ahead(h tlog.Hash) bool {
	for k := int64(1); k <= diffReach; k++ {
		want, ok := d.noted(d.next + k)
		if !ok {
			return false
		}
		if want != h {
			continue
		}
		for i := d.next; i < d.next+k; i++ {
			missing, _ := d.noted(i)
			d.gone = d.keep(d.gone, wrong{at: i, hash: missing})
		}
		d.next += k + 1
		return true
	}
	return false
}

func (d *diff) keep(list []wrong, w wrong) []wrong {
	if len(list) >= maxNamed {
		d.more = true
		return list
	}
	return append(list, w)
}

// end is told when there are no more lines, with the number of leaves that there should be.
func (d *diff) end(leaves int64) {
	if s := d.suspect; s != nil {
		if s.leaf < leaves {
			d.changed = d.keep(d.changed, *s)
		} else {
			d.strange = d.keep(d.strange, *s)
		}
		d.suspect = nil
	}
	for i := d.next; i < leaves; i++ {
		h, ok := d.noted(i)
		if !ok || d.more {
			d.more = true
			break
		}
		d.gone = d.keep(d.gone, wrong{at: i, hash: h})
	}
}
