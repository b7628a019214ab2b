package recorder

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// What an export tells of itself.
const (
	TagsNone   = "none"
	TagsCall   = "call"   // the call, the time, who is on which channel by role: nothing that names a person
	TagsPeople = "people" // names and numbers too
)

// maxTagBytes bounds the tags of a file.
const maxTagBytes = 16 << 10

// tags are the chunks bext (EBU Tech 3285, version 1) and LIST INFO (RIFF) of an export. audio.wav itself has none: what follows
// its header are samples up to the end, of a recording that was cut off too.
func (m *Manifest) tags(e *Export, cfg ExportConfig) []byte {
	began := m.Started.UTC().Add(length(e.first))
	about := m.about(e, cfg)
	title := fmt.Sprintf("call %s, part %d", m.Call.ID, max(1, m.Part))
	id := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", m.Call.ID, m.Part, m.Started.UTC().Format(time.RFC3339Nano)))
	return append(bext(began, title+": "+about, m.Software, hex.EncodeToString(id[:16]), m.history(e)),
		info([][2]string{{"INAM", title}, {"ICRD", began.Format("2006-01-02")}, {"ISFT", m.Software}, {"ICMT", about}})...)
}

// about says who is on which channel.
func (m *Manifest) about(e *Export, cfg ExportConfig) string {
	text := "mono: " + strings.Join(m.Channels, " and ")
	switch {
	case cfg.Track != "":
		text = "track: " + cfg.Track
	case e.Channels == 2 && len(m.Channels) == 2:
		text = "left: " + m.Channels[0] + ", right: " + m.Channels[1]
	}
	if cfg.Tags != TagsPeople {
		return text
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if who := strings.Join(strings.Fields(t.Name+" "+t.Number+" "+t.Extension), " "); who != "" && !strings.Contains(text, who) && len(text) < 2048 {
			text += fmt.Sprintf("; %s: %s", t.Role, who)
		}
	}
	return text
}

// history is bext's coding history (EBU R 98): how the sound came, and what it is here.
func (m *Manifest) history(e *Export) string {
	mode := "mono"
	if e.Channels == 2 {
		mode = "stereo"
	}
	return fmt.Sprintf("A=PCM,F=8000,W=16,M=%s,T=%s; from G.711\r\n", mode, ascii(m.Software))
}

// chunk is a chunk of RIFF, of even length.
func chunk(id string, b []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(b)))
	out = append(out, b...)
	if len(b)&1 == 1 {
		out = append(out, 0)
	}
	return out
}

// bext is the broadcast extension. Its time reference counts samples since midnight; date and time are UTC.
func bext(began time.Time, description, originator, reference, history string) []byte {
	field := func(b []byte, s string, n int) []byte {
		s = ascii(s)
		return append(append(b, s[:min(len(s), n)]...), make([]byte, n-min(len(s), n))...)
	}
	b := field(nil, description, 256)
	b = field(b, originator, 32)
	b = field(b, reference, 32)
	b = field(b, began.Format("2006-01-02"), 10)
	b = field(b, began.Format("15:04:05"), 8)
	midnight := time.Date(began.Year(), began.Month(), began.Day(), 0, 0, 0, 0, time.UTC)
	b = binary.LittleEndian.AppendUint64(b, uint64(int64(began.Sub(midnight))*rate/int64(time.Second)))
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = append(b, make([]byte, 64+190)...) // no UMID; reserved
	return chunk("bext", append(b, history...))
}

// info is the list of texts that players show.
func info(texts [][2]string) []byte {
	b := []byte("INFO")
	for _, t := range texts {
		if s := plainText(t[1]); s != "" {
			b = append(b, chunk(t[0], append([]byte(s), 0))...)
		}
	}
	return chunk("LIST", b)
}

// plainText takes out what is no text, and what is too long for a tag.
func plainText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 2048 {
		s = strings.ToValidUTF8(s[:2048], "")
	}
	return s
}

// ascii is what bext's fields may hold.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
