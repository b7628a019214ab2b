package recorder

import "fmt"

// SIPName is the file with what was said in SIP, of a call that went wrong.
const SIPName = "sip.txt"

// maxSIPBytes bounds that file.
const maxSIPBytes = 256 << 10

// AddSIP adds text to the recording's SIPName, beyond 256 KiB nothing. It must hold no secret. After End it does nothing.
func (r *Recording) AddSIP(text string) {
	x := &r.inbox
	x.mu.Lock()
	room := maxSIPBytes - x.sipBytes
	if x.ended || text == "" || room <= 0 {
		x.mu.Unlock()
		return
	}
	text = text[:min(len(text), room)]
	x.sip = append(x.sip, text...)
	x.sipBytes += len(text)
	wake := !x.queued && !x.busy
	x.queued = x.queued || wake
	x.mu.Unlock()
	if wake {
		r.s.enqueue(r)
	}
}

// putSIP writes what AddSIP brought; what the disk does not take now it is given again with the next piece, and when sealing.
func (r *Recording) putSIP() error {
	w := &r.w
	if !w.sipOwed {
		return nil
	}
	if err := r.s.putFile(r.file(SIPName), w.sip, true); err != nil {
		return fmt.Errorf("%s: %w", SIPName, err)
	}
	w.sipOwed, w.unlisted = false, true
	return nil
}
