// Package offer is SDP offer and answer for one dialog, as plain data: octets in, streams and octets out.
//
// It opens no socket, reads no clock and knows neither SIP nor media. [Parse] makes an [Offer] of a body, after a pre-pass
// that repairs what a strict parser would refuse. [Offer.Negotiate] decides, line by line, what is taken: an [Exchange]. Its
// [Exchange.Streams] go to the media side, which gives a [Local] for each through [Exchange.SetLocal]; then
// [Exchange.Marshal] is the SDP to send. Where an INVITE brings no SDP, [NewOffer] makes ours, and [Exchange.Answered] reads
// the answer in the ACK.
//
// # Usage
//
//	o, err := offer.Parse(body)                 // *SyntaxError: 400
//	x, err := o.Negotiate(policy, prev)         // ErrNothingUsable: 488; prev is the dialog's last exchange, nil at first
//	err = x.SetLocal(open(x.Streams()))         // one Local per stream, in order
//	send(x.Marshal())                           // the same octets each time
//
// Keep the exchange that went out with the last 2xx: it is prev of the next one, and carries our o= line, our keys and the
// order of the lines. [Exchange.Reoffer] is our offer for a re-INVITE without SDP.
//
// # Concurrency
//
// No goroutine, no lock. An Offer never changes after Parse. An Exchange never changes after SetLocal, but for a further
// SetLocal; until then one goroutine owns it.
//
// # Limits
//
// 32 KiB and 32 m= lines a description ([MaxOctets], [MaxLines]). G.711 only, with telephone-event and comfort noise. SDES
// only: no DTLS, ICE or BUNDLE, so an offer that allows to fall back from them is answered without them. One master key a
// line: an a=crypto line with several is passed over for the next one.
//
// # Standards
//
// RFC 8866 (SDP), RFC 3264 and RFC 6337 (offer and answer), RFC 4568, 6188 and 7714 (SDES and its suites), RFC 3551, 3389
// and 4733 (formats), RFC 3605 and 5761 (RTCP), RFC 4574 (label), RFC 5888 (mid). The i= line that names a party is
// RingCentral's.
//
// # Testing
//
// testdata/negotiate.txtar holds offers of real devices with the answer to each (-update rewrites). Fuzz targets cover
// Parse to Marshal, a=crypto and i=.
package offer
