package peertest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// capture is what dumpcap takes down of the packets to and from earshot's media ports: with the kernel's own stamps.
type capture struct {
	*process
	file        string
	port, ports int
}

// startCapture begins before the first packet.
func startCapture(t *testing.T, port, ports int) capture {
	t.Helper()
	c := capture{file: filepath.Join(t.TempDir(), "media.pcapng"), port: port, ports: ports}
	filter := fmt.Sprintf("udp and portrange %d-%d and (host %s or host %s)", port, port+ports-1, earshotIP, six(earshotIP))
	// What stays inside the namespace passes lo. Root's dumpcap drops its rights: the file must be for everybody.
	c.process = start(t, filepath.Dir(c.file), os.Environ(), "dumpcap", "-i", "lo", "-f", filter, "-B", "16", "-q", "-w", c.file)
	eventually(t, 10*time.Second, "dumpcap captures", func() bool {
		if c.ended() {
			t.Fatalf("dumpcap ended: %v\n%s", c.err, c.log.String())
		}
		return strings.Contains(c.log.String(), "File: ")
	})
	return c
}

// stream is one line of tshark -z rtp,streams.
type stream struct {
	ssrc                  uint32
	packets, lost         int64
	maxJitter, meanJitter float64 // ms
}

// seen is what tshark makes of a capture.
type seen struct {
	rtp     []packet // to earshot, in the order they came
	reports []report // of earshot's
	streams []stream // to earshot
}

// packet is an RTP packet as tshark takes it apart.
type packet struct {
	at   time.Duration
	from string
	ssrc uint32
	seq  uint16
	ts   uint32
	pt   int
	size int // octets after the RTP header, which has no extensions here
}

// report is one report block of RTCP.
type report struct {
	at          time.Duration
	ssrc        uint32
	fraction    int64 // in 1/256
	lost        int64
	high        uint32 // cycles and highest sequence number
	jitter, lsr int64
}

// fields is what tshark prints of each packet.
var fields = []string{
	"frame.time_epoch", "ip.dst", "ipv6.dst", "ip.src", "ipv6.src", "udp.srcport", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "udp.length",
	"rtcp.ssrc.identifier", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.ssrc.ext_high", "rtcp.ssrc.jitter", "rtcp.ssrc.lsr",
}

// judge ends the capture and lets tshark look at it.
func (c capture) judge(t *testing.T) seen {
	t.Helper()
	c.end(t)
	// Heuristics first: some of our ports are known to be those of games.
	args := []string{"-n", "-r", c.file, "--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtcp_udp", "-o", "udp.try_heuristic_first:TRUE", "-z", "rtp,streams", "-T", "fields", "-E", "separator=;"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	p, err := spawn(filepath.Dir(c.file), os.Environ(), "tshark", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill) // its output is long, and no log
	if code := p.wait(t, 60*time.Second); code != 0 {
		t.Fatalf("tshark: exit code %d\n%s", code, tail(p.log.String(), 2000))
	}
	return parseSeen(t, p.out.String())
}

// end stops dumpcap once it has written down all that was sent: it leaves behind what it has not read from the kernel.
func (c capture) end(t *testing.T) {
	t.Helper()
	const mark = "the capture ends here"
	conn, err := net.Dial("udp", net.JoinHostPort(earshotIP, strconv.Itoa(c.port+c.ports-1)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err = conn.Write([]byte(mark)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "dumpcap wrote all down", func() bool {
		b, err := os.ReadFile(c.file)
		return err == nil && bytes.Contains(b, []byte(mark))
	})
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	c.wait(t, 10*time.Second)
}

func parseSeen(t *testing.T, text string) seen {
	t.Helper()
	var s seen
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Split(line, ";")
		if len(f) != len(fields) {
			if w := strings.Fields(line); len(w) > 6 && strings.HasPrefix(w[6], "0x") {
				s.addStream(t, w)
			}
			continue
		}
		n := numbers{t: t, line: line}
		sec, nano, _ := strings.Cut(f[0], ".")
		at := time.Duration(n.int(sec))*time.Second + time.Duration(n.int("1"+nano)-1e9)
		switch to := f[1] + f[2]; {
		case f[6] != "" && (to == earshotIP || to == six(earshotIP)):
			s.rtp = append(s.rtp, packet{at, f[3] + f[4] + ":" + f[5], uint32(n.int(f[6])), uint16(n.int(f[7])), uint32(n.int(f[8])), int(n.int(f[9])), int(n.int(f[10])) - 20})
		case f[11] != "" && f[14] != "" && to != earshotIP && to != six(earshotIP):
			id, _, _ := strings.Cut(f[11], ",") // the block's, then that of the CNAME
			s.reports = append(s.reports, report{
				at: at, ssrc: uint32(n.int(id)), fraction: n.int(f[12]), lost: n.int(f[13]), high: uint32(n.int(f[14])), jitter: n.int(f[15]), lsr: n.int(f[16]),
			})
		}
	}
	return s
}

// addStream reads a line of tshark -z rtp,streams; those that earshot sends are passed over.
func (s *seen) addStream(t *testing.T, w []string) {
	if w[4] != earshotIP && w[4] != six(earshotIP) {
		return
	}
	n := numbers{t: t, line: strings.Join(w, " ")}
	// The payload's name may be of several words: what follows it is counted from the end.
	end := len(w)
	if w[end-1] == "X" {
		end--
	}
	if end < 17 {
		t.Fatalf("tshark: %q", n.line)
	}
	s.streams = append(s.streams, stream{
		ssrc: uint32(n.int(w[6])), packets: n.int(w[end-9]), lost: n.int(w[end-8]), meanJitter: n.float(w[end-2]), maxJitter: n.float(w[end-1]),
	})
}

// numbers reads tshark's: what can't be read fails the test.
type numbers struct {
	t    *testing.T
	line string
}

func (n numbers) int(text string) int64 {
	v, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		n.t.Fatalf("tshark: %v in %q", err, n.line)
	}
	return v
}

func (n numbers) float(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		n.t.Fatalf("tshark: %v in %q", err, n.line)
	}
	return v
}
