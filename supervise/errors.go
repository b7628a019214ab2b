package supervise

import "time"

// APIError is a refusal by RingCentral, code and text as it gave them.
type APIError struct {
	Op         string // what was asked, such as "supervise party"
	Status     int    // HTTP status
	Code       string // errorCode; empty where the answer had none
	Message    string
	Parameter  string        // parameterName
	Permission string        // permissionName
	RetryAfter time.Duration // 0: not given
}

// Error says what was asked and what RingCentral answered.
func (e *APIError) Error() string { return e.Op }

// Hint says what to do about it; empty where nothing is known.
func (e *APIError) Hint() string { return "" }
