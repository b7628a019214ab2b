package trunk

import (
	"encoding/hex"
	"testing"
)

// TestAlawOfUlaw holds the transcoding of speech against Python 3.11's
// audioop.lin2alaw(audioop.ulaw2lin(bytes(range(256)), 2), 2).hex().
func TestAlawOfUlaw(t *testing.T) {
	want := "2a2b28292e2f2c2d22232021262724253a3b38393e3f3c3d32333031363734350b08090e0f0c0d02030001060704051a1b18" +
		"191e1f1c1d12131011161714156b68696e6f6c6d62636061666764657b797e7f7c7d72737071767774754b494f4d42434041" +
		"464744455a5b58595e5f5c5d525353505051515656575754545555d5aaaba8a9aeafacada2a3a0a1a6a7a4a5babbb8b9bebf" +
		"bcbdb2b3b0b1b6b7b4b58b88898e8f8c8d82838081868784859a9b98999e9f9c9d9293909196979495ebe8e9eeefecede2e3" +
		"e0e1e6e7e4e5fbf9fefffcfdf2f3f0f1f6f7f4f5cbc9cfcdc2c3c0c1c6c7c4c5dadbd8d9dedfdcddd2d2d3d3d0d0d1d1d6d6" +
		"d7d7d4d4d5d5"
	if got := hex.EncodeToString(ulawToAlaw[:]); got != want {
		t.Errorf("table is %s, want %s", got, want)
	}
	s := SpeechSource([]byte{0x80, 0xFF}, false)
	if a, b, c := s.Octet(PCMU, 0), s.Octet(PCMA, 0), s.Octet(PCMA, 2); a != 0x80 || b != 0xAA || c != 0xD5 {
		t.Errorf("speech gives %#x %#x %#x, want 0x80 0xaa 0xd5", a, b, c)
	}
	if a, b := SpeechSource([]byte{1, 2}, true).Octet(PCMU, -1), SpeechSource(nil, true).Octet(PCMU, 5); a != 2 || b != 0xFF {
		t.Errorf("looped speech gives %#x at -1 and %#x of nothing, want 0x2 and 0xff", a, b)
	}
}
