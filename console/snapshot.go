package console

import "time"

// Source gives what health checks and metrics show. Snapshot is called at each request, from any goroutine.
type Source interface {
	Snapshot() Snapshot
}

// Check is one line of /readyz.
type Check struct {
	Name string // such as "registered", "logged in", "disk"
	OK   bool
	Text string // why not, or what is well
}

// Consumer counts what all consumers of one name did since start.
type Consumer struct {
	Connected       int64 // now
	Connections     int64 // and processes, that were there
	Reconnects      int64
	DroppedSamples  int64
	CaughtUpSamples int64 // that came from the recording
	SentOctets      int64
	Lag             time.Duration // the longest now
}

// Snapshot is the state of the process as plain data. Map keys are closed sets; they become metric labels.
type Snapshot struct {
	// Checks decide /readyz: ready when all are OK.
	Checks []Check
	// SweepAge is the time since the media engine's last sweep; negative: it does not run yet.
	SweepAge time.Duration

	Registered int // accounts that are registered
	Accounts   int // accounts there are

	Calls      map[string]int64 // by state: wanted, joining, live, held, ended
	CallsEnded map[string]int64 // by call.Code, since start
	SIP        map[string]int64 // by event, since start
	SIPAnswers map[string]int64 // final answers to INVITEs by status code, since start

	MediaSamples map[string]int64 // by kind, since start
	MediaDrops   map[string]int64 // packets by reason, since start
	Tracks       int64            // open now
	MediaQuality map[string]int64 // live tracks by the quality of their newest 10 s

	CallsMasked map[string]int64 // live calls whose audio is held back, by whose word
	Masks       map[string]int64 // that were begun, by whose word, since start
	Unmasks     map[string]int64 // that ended while their call went on

	DiskFreeBytes  int64 // of the recordings' file system; negative: not known
	DiskLevel      int   // 0: room enough; 1: little; 2: so little that no new calls are taken
	DiskFault      bool  // recordings can't be written as they should
	RecorderErrors int64
	// UnwrittenSamples came and could not be written. LastSync is how long the newest group sync took.
	UnwrittenSamples int64
	LastSync         time.Duration
	Recordings       int64 // open now
	Repaired         int64 // recordings finished after a crash
	Moved            int64 // recordings whose audio left for the vault, since start
	// ErasuresWaiting are those of which copies elsewhere are still to go, ErasuresOldest is since the oldest was decided.
	ErasuresWaiting int64
	ErasuresOldest  time.Duration

	VaultQueued     int64            // recordings that are not in the vault yet
	VaultOldest     time.Duration    // since the oldest of them began
	VaultRecordings int64            // brought since start
	VaultSentBytes  int64            // since start
	VaultFailures   map[string]int64 // tries that failed, by cause, since start
	VaultTrouble    bool             // it takes nothing

	WebhooksWaiting   int64            // messages
	WebhooksDelivered int64            // since start
	WebhooksFailed    map[string]int64 // since start: tries, and messages given up

	StreamDroppedSamples int64
	StreamLateSamples    int64
	StreamRevokedSamples int64
	StreamPrograms       int64 // running now
	StreamRestarts       int64
	StreamGivenUp        int64
	StreamRefused        int64
	StreamAnswers        map[string]int64    // what engines told, since start: partial, final, words, malformed, refused, revoked
	LostLines            int64               // of transcripts: they came too late, or were too many
	StreamConsumers      map[string]Consumer // by name, a bounded number of them

	SuperviseRequests map[string]int64 // REST requests by class: 2xx, 4xx, 429, 5xx, error
	SuperviseWaiting  int64            // wanted calls that the pool has no room for
	LoggedIn          bool
}
