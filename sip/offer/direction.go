package offer

// String gives the attribute's name.
func (d Direction) String() string {
	switch d {
	case SendOnly:
		return "sendonly"
	case RecvOnly:
		return "recvonly"
	case Inactive:
		return "inactive"
	case SendRecv:
	}
	return "sendrecv"
}

// directionOf reads an attribute's name; ok is false if it is not a direction.
func directionOf(name string) (d Direction, ok bool) {
	switch name {
	case "sendrecv":
		return SendRecv, true
	case "sendonly":
		return SendOnly, true
	case "recvonly":
		return RecvOnly, true
	case "inactive":
		return Inactive, true
	}
	return SendRecv, false
}

// answerTo is our direction for theirs (RFC 3264 section 6.1). We never hold. c=0.0.0.0, or a host in .invalid, is the old form of hold: what they
// cannot receive we do not claim to send (RFC 6337 section 5.3).
func answerTo(theirs Direction, nowhere bool) Direction {
	switch {
	case theirs == Inactive, theirs == RecvOnly && nowhere:
		return Inactive
	case theirs == SendOnly, nowhere:
		return RecvOnly
	case theirs == RecvOnly:
		return SendOnly
	}
	return SendRecv
}
