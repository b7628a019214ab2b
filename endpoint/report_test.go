package endpoint_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// TestOurReportsTellTheSenderTheTruth: once a stream has stopped, our newest block names exactly what the network did to it. A copy
// counts as received (RFC 3550 section 6.4.1), but not under SRTP, where it is a replay that RTP never sees.
func TestOurReportsTellTheSenderTheTruth(t *testing.T) {
	for _, srtp := range []bool{false, true} {
		t.Run(fmt.Sprintf("srtp=%v", srtp), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			sim := ringsim.Start(t, ringsim.Config{Trunk: func(c *trunk.Config) { c.Strict = true }})
			_, stop := listening(t, sim, "tcp", "party", dir)
			way := trunk.Impairment{
				Loss: 0.1, Reorder: 0.05, Duplicate: 0.05, Seed: 3, StartSeq: 65500, RTCP: 200 * time.Millisecond, StopAfter: 120,
			}
			c, err := sim.StartCall(ringsim.CallSpec{
				Agent: agents[0], Form: ringsim.FormTwoLines, SRTP: &srtp, Impair: ringsim.Impair{Customer: way, Agent: way}, For: time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.WaitSupervised(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, s := range c.Streams() {
				oracle.Eventually(t, 20*time.Second, "a report on all of the stream", func() bool { return complete(s.Stream) })
				checkReports(t, s.Stream, srtp)
			}
			c.Hangup()
			<-c.Done()
			stop()
			r, ok := oracle.ByCall(t, dir)[c.SessionID()]
			if !ok {
				t.Fatal("no recording")
			}
			oracle.CompareCall(t, c, r)
		})
	}
}

// complete tells whether a block came that covers the last packet which arrived.
func complete(s *trunk.Stream) bool {
	sent := s.Sent()
	if len(sent) < 120 {
		return false
	}
	last := slices.IndexFunc(sent, func(p trunk.Packet) bool { return p.Seq == sent[119].Seq })
	for last > 0 && !sent[last].Delivered {
		last--
	}
	b := newestBlock(s)
	return b != nil && uint16(b.High) == sent[last].Seq
}

func newestBlock(s *trunk.Stream) (b *trunk.Block) {
	for _, r := range s.Reports() {
		if r.Block != nil {
			b = r.Block
		}
	}
	return b
}

func checkReports(t *testing.T, s *trunk.Stream, srtp bool) {
	t.Helper()
	sent, got := s.Sent(), newestBlock(s)
	first := slices.IndexFunc(sent, func(p trunk.Packet) bool { return p.Delivered })
	var lost int64
	ext := uint32(sent[first].Seq)
	high := ext
	for _, p := range sent[first:] {
		if p.Seq != uint16(ext) {
			t.Fatalf("the stream's numbers step from %d to %d", ext, p.Seq)
		}
		if p.Delivered {
			high = ext
		}
		ext++
	}
	for _, p := range sent[first : first+int(high-uint32(sent[first].Seq))+1] {
		if lost++; p.Delivered && srtp {
			lost--
		} else {
			lost -= int64(p.Count)
		}
	}
	if got.SSRC != sent[0].SSRC || got.High != high || got.Lost != lost {
		t.Errorf("newest block %+v, want lost %d, highest %d of %#x", got, lost, high, sent[0].SSRC)
	}
	if !slices.Contains(s.SenderReports(), got.LSR) {
		t.Errorf("LSR %#x is of no report that was sent", got.LSR)
	}
	if r := s.Reports()[0]; !r.Sender || len(r.CNAME) != 16 {
		t.Errorf("first report: got %+v, want a sender report with a CNAME", r)
	}
}
