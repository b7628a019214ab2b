package call

// Code says in one word why a call or a leg changed state; a closed set, so it may be a metric label.
type Code string

// The codes. Text of a Cause says more.
const (
	CodeHangup         Code = "hangup"          // the far side sent BYE
	CodeReleased       Code = "released"        // a user gave the call up
	CodeShutdown       Code = "shutdown"        // earshot was told to stop
	CodeCancelled      Code = "cancelled"       // CANCEL came before our 200
	CodeNoACK          Code = "no_ack"          // our 200 was never acknowledged
	CodeNoMedia        Code = "no_media"        // answered, and not one packet came
	CodeNoInvite       Code = "no_invite"       // RingCentral accepted the request, no INVITE followed
	CodeRefused        Code = "refused"         // we refused the INVITE, or RingCentral the request
	CodeNoCapacity     Code = "no_capacity"     // no free device or no ports
	CodeOccupied       Code = "occupied"        // another supervisor holds the call's only place
	CodeSessionExpired Code = "session_expired" // RFC 4028: nobody refreshed the dialog
	CodeFlowLost       Code = "flow_lost"       // signalling is gone and the dialog could not be healed
	CodeAgentLeft      Code = "agent_left"      // no monitored agent was in the call: there was nothing to listen to
	CodeLate           Code = "late"            // it was joined some time after the agent began to talk; the text says why
	CodeReplan         Code = "replan"          // the call is heard in another form, as its next part
	CodeReplaced       Code = "replaced"        // another dialog took its place (RFC 3891, transfer)
	CodeCrash          Code = "crash"           // earshot ended without sealing; finished at the next start
	CodeDisk           Code = "disk"            // the recording could not be written
	CodeDiskFull       Code = "disk_full"       // too little room to take new calls (record.disk.refuse)
	CodeProtocol       Code = "protocol"        // the far side broke a rule we can't live with
	CodeInternal       Code = "internal"        // our own fault
)

// Cause is why a call or leg changed state: a code for machines, a text for people. The zero Cause means "not known".
type Cause struct {
	Code Code   `json:"code"`
	Text string `json:"text,omitempty"`
}

// String gives "code: text", or the code alone.
func (c Cause) String() string {
	if c.Text == "" {
		return string(c.Code)
	}
	return string(c.Code) + ": " + c.Text
}

// Codes lists every code, for whoever shows all of them.
func Codes() []Code {
	return []Code{
		CodeHangup, CodeReleased, CodeShutdown, CodeCancelled, CodeNoACK, CodeNoMedia, CodeNoInvite, CodeRefused, CodeNoCapacity,
		CodeOccupied, CodeAgentLeft, CodeLate, CodeReplan, CodeSessionExpired, CodeFlowLost, CodeReplaced, CodeCrash, CodeDisk, CodeDiskFull, CodeProtocol, CodeInternal,
	}
}
