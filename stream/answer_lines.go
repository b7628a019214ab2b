package stream

import "bytes"

// maxAnswerLine bounds a line of a program that answers, in octets.
const maxAnswerLine = 64 << 10

// answerLines is the standard output of a program that answers: a message a line. Nothing of it is logged. exec.Cmd's goroutine owns it.
type answerLines struct {
	hearing *hearing
	part    []byte // of the line that is coming
	skip    bool   // it is too long
}

// end reads a last line that has no end; for after the process's.
func (a *answerLines) end() {
	if len(a.part) > 0 {
		_, _ = a.Write([]byte("\n")) // it never fails
	}
}

// Write takes output in any pieces. It never fails: a program must not end because of what it says.
func (a *answerLines) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if a.skip = a.skip || len(a.part)+len(line) > maxAnswerLine; !a.skip {
			a.part = append(a.part, line...)
		}
		if !whole {
			break
		}
		if a.skip {
			a.hearing.malformed(errLong)
		} else if line := bytes.TrimSpace(a.part); len(line) > 0 {
			a.hearing.hear(line)
		}
		a.part, a.skip = a.part[:0], false
	}
	return len(b), nil
}
