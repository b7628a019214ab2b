package media

import "testing"

// TestKeysThatFollowEachOtherQuicklyOpenWhatIsInFlight: what the key before the last protects is neither lost nor taken for plain audio.
func TestKeysThatFollowEachOtherQuicklyOpenWhatIsInFlight(t *testing.T) {
	r := newRig(t, Config{}).commit(keyedParams(1))
	s, err := sealerFor(testKey(SuiteAESCM128SHA1x80, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := stream(testSSRC, 100, 5000, 100*ms, 3)
	for i := range in {
		b, err := s.seal(in[i].octets)
		if err != nil {
			t.Fatal(err)
		}
		in[i].octets = append([]byte(nil), b...)
	}
	r.commit(keyedParams(2)).commit(plainParams()).send(in...).until(300 * ms).close()
	r.expect("r480")
}

func keyedParams(key byte) Params {
	p := plainParams()
	p.RecvKey, p.SendKey = testKey(SuiteAESCM128SHA1x80, key), testKey(SuiteAESCM128SHA1x80, 200)
	return p
}
