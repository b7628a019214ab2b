package media

import (
	"fmt"
	"strings"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	// replayWindow is larger than the archive window at any packet length: pion refuses what is older as a replay.
	replayWindow     = 1024
	replayWindowRTCP = 64
	// sealedOctets is room for what we send, protected: silence and reports. What is more allocates.
	sealedOctets = 320
	// rekeyGrace is how long the key before is still accepted: for packets in flight (RFC 4568 section 7.1.4).
	rekeyGrace = 2 * time.Second
)

var suites = map[Suite]srtp.ProtectionProfile{
	SuiteAESCM128SHA1x80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	SuiteAESCM128SHA1x32: srtp.ProtectionProfileAes128CmHmacSha1_32,
	SuiteAESCM256SHA1x80: srtp.ProtectionProfileAes256CmHmacSha1_80,
	SuiteAESCM256SHA1x32: srtp.ProtectionProfileAes256CmHmacSha1_32,
	SuiteAEADAES128GCM:   srtp.ProtectionProfileAeadAes128Gcm,
	SuiteAEADAES256GCM:   srtp.ProtectionProfileAeadAes256Gcm,
}

// counterTags are the suites in counter mode, with the length of their tags in octets.
var counterTags = map[Suite]int{
	SuiteAESCM128SHA1x80: 10, SuiteAESCM128SHA1x32: 4, SuiteAESCM256SHA1x80: 10, SuiteAESCM256SHA1x32: 4,
}

// newContext makes one direction's context. Replay protection is off in pion unless asked for.
func newContext(k Key) (*srtp.Context, error) {
	profile, ok := suites[Suite(strings.ToUpper(string(k.Suite)))]
	if !ok {
		return nil, fmt.Errorf("suite: got %q, want one of RFC 4568, 6188 or 7714", k.Suite)
	}
	opts := []srtp.ContextOption{srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindowRTCP)}
	if len(k.MKI) > 0 {
		opts = append(opts, srtp.MasterKeyIndicator(k.MKI))
	}
	c, err := srtp.CreateContext(k.Master, k.Salt, profile, opts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Suite, err)
	}
	return c, nil
}

// opener opens what comes under one key. After the commit it is the shard's; its key never changes.
type opener struct {
	key Key
	cm  *aesCM        // of the suites in counter mode; nil: ctx opens them
	ctx *srtp.Context // of all others, and of SRTCP once some comes

	header rtp.Header // reused: pion parses into it
	opened bool       // anything
	search rollover
}

// openerFor gives the opener of a key: the same as before, with its roll-over counter and replay window, if the key is.
func openerFor(k *Key, before *opener) (*opener, error) {
	if k == nil || before != nil && k.equal(&before.key) {
		if k == nil {
			before = nil
		}
		return before, nil
	}
	own := k.clone()
	ctx, err := newContext(own) // says what is wrong with a key
	if err != nil {
		return nil, err
	}
	o := &opener{key: own}
	if tag := counterTags[Suite(strings.ToUpper(string(own.Suite)))]; tag > 0 {
		if o.cm, err = newAESCM(own, tag); err != nil {
			return nil, fmt.Errorf("%s: %w", own.Suite, err)
		}
		return o, nil // most senders have no SRTCP: its context is made when it comes
	}
	o.ctx = ctx
	return o, nil
}

// open authenticates and decrypts a packet: where it stands, or into dst, which is overwritten in any case. pion's errors are not looked at: they say no more than no.
//
//earshot:hot
func (o *opener) open(dst, octets []byte) ([]byte, bool) {
	if o.cm != nil {
		plain, ok := o.cm.open(dst, octets)
		o.opened = o.opened || ok
		return plain, ok
	}
	plain, err := o.ctx.DecryptRTP(dst[:0], octets, &o.header)
	if err != nil {
		return nil, false
	}
	o.opened = true
	return plain, true
}

// openRTCP does so with SRTCP.
func (o *opener) openRTCP(dst, octets []byte) ([]byte, bool) {
	if o.ctx == nil {
		ctx, err := newContext(o.key)
		if err != nil {
			return nil, false
		}
		o.ctx = ctx
	}
	plain, err := o.ctx.DecryptRTCP(dst[:0], octets, nil)
	return plain, err == nil
}

// sealer protects what we send under one key.
type sealer struct {
	key Key
	ctx *srtp.Context
	buf []byte
}

// sealerFor gives the sealer of a key: the same as before if the key is.
func sealerFor(k *Key, before *sealer) (*sealer, error) {
	if k == nil || before != nil && k.equal(&before.key) {
		if k == nil {
			before = nil
		}
		return before, nil
	}
	own := k.clone()
	ctx, err := newContext(own)
	if err != nil {
		return nil, err
	}
	return &sealer{key: own, ctx: ctx, buf: make([]byte, 0, sealedOctets)}, nil
}

// seal gives the protected packet, valid until the next call.
func (s *sealer) seal(plain []byte) ([]byte, error) {
	b, err := s.ctx.EncryptRTP(s.buf[:0], plain, nil)
	if err != nil {
		return nil, fmt.Errorf("protect: %w", err)
	}
	return b, nil
}

// sealRTCP does so with RTCP.
func (s *sealer) sealRTCP(plain []byte) ([]byte, error) {
	b, err := s.ctx.EncryptRTCP(s.buf[:0], plain, nil)
	if err != nil {
		return nil, fmt.Errorf("protect: %w", err)
	}
	return b, nil
}
