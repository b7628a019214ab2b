package config

import (
	"time"

	"github.com/earshot/earshot/internal/secret"
)

// Config is the whole configuration. Tags: key is the YAML name, default the value of an absent key, env the variables of
// RingCentral's own that fill it, help its line in docs/configuration.md, oneof its legal words.
type Config struct {
	RingCentral RingCentral `key:"ringcentral"`
	SIP         SIP         `key:"sip"`
	Media       Media       `key:"media"`
	Supervise   Supervise   `key:"supervise"`
	Record      Record      `key:"record"`
	Stream      []Stream    `key:"stream"`
	Webhooks    []Webhook   `key:"webhooks"`
	Console     Console     `key:"console"`
	Control     Control     `key:"control"`
	Log         Log         `key:"log"`
	Timezone    string      `key:"timezone" default:"UTC" help:"time zone of days, schedules and reports (IANA name); what is stored is UTC"`
}

// RingCentral is the REST login of the supervisor.
type RingCentral struct {
	Server       string      `key:"server" default:"https://platform.ringcentral.com" env:"RINGCENTRAL_SERVER_URL" help:"RingCentral's API; http:// too, for the simulator"`
	ClientID     string      `key:"client_id" env:"RINGCENTRAL_CLIENT_ID" help:"the app's client id"`
	ClientSecret secret.Text `key:"client_secret" env:"RINGCENTRAL_CLIENT_SECRET" help:"the app's client secret"`
	JWT          secret.Text `key:"jwt" env:"RINGCENTRAL_JWT,RINGCENTRAL_JWT_TOKEN" help:"the supervisor's JWT credential"`
}

// SIP is the device that earshot registers as.
type SIP struct {
	Domain          string      `key:"domain" env:"SIP_INFO_DOMAIN" help:"SIP domain: From, To, Request-URI and digest realm; absent with ringcentral: from the device's sip-info"`
	OutboundProxy   []string    `key:"outbound_proxy" env:"SIP_INFO_OUTBOUND_PROXY" help:"host:port to connect to, or several in order; default the domain"`
	Transport       string      `key:"transport" default:"tls" oneof:"tls,tcp,udp" help:"how the flow is carried"`
	Username        string      `key:"username" env:"SIP_INFO_USERNAME" help:"user part of the address of record"`
	Password        secret.Text `key:"password" env:"SIP_INFO_PASSWORD" help:"digest password"`
	AuthorizationID string      `key:"authorization_id" env:"SIP_INFO_AUTHORIZATION_ID" help:"digest user name; default the username"`
	Listen          string      `key:"listen" help:"local ip:port of the UDP socket; default by the route to the proxy"`
	MaxCalls        int         `key:"max_calls" default:"0" min:"0" help:"dialogs at once, more get 486; 0: 1000, or fewer where the media ports run out"`
	Answer          string      `key:"answer" default:"all" oneof:"all,asked" help:"INVITEs that answer no request of ours: all are answered, or those that ask for it (Alert-Info, Call-Info, Answer-Mode); others get 480"`
	AcceptFrom      []string    `key:"accept_from" help:"addresses or prefixes that may send requests besides the proxies (UDP)"`
	Keepalive       Duration    `key:"keepalive" default:"25s" min:"1s" help:"CRLF on an idle flow"`
	TLS             TLS         `key:"tls"`
}

// TLS is how the registrar's certificate is checked.
type TLS struct {
	CAFile             string `key:"ca_file" help:"PEM file of the authorities to trust instead of the system's"`
	InsecureSkipVerify bool   `key:"insecure_skip_verify" default:"false" help:"accept any certificate: for tests only"`
}

// Media is the RTP side.
type Media struct {
	ListenIP       string   `key:"listen_ip" help:"local address of RTP sockets; default by the route to the far side"`
	AdvertiseIP    string   `key:"advertise_ip" help:"address to name in SDP instead, behind a NAT with fixed ports"`
	Ports          Ports    `key:"ports" default:"20000-29999" help:"UDP ports for RTP and RTCP"`
	Codecs         []string `key:"codecs" default:"PCMU,PCMA" oneof:"PCMU,PCMA" help:"G.711 laws to accept, in the order of our own offers"`
	LiveWait       Duration `key:"live_wait" default:"60ms" min:"0s" max:"1s" help:"how long a hole waits for its packet before it is given out as lost"`
	ArchiveWindow  Duration `key:"archive_window" default:"2s" min:"100ms" max:"30s" help:"how long a late packet is still put in its place"`
	Keepalive      Duration `key:"keepalive" default:"15s" min:"1s" help:"a silent packet to the far side this often"`
	RTCP           bool     `key:"rtcp" default:"true" help:"send reports (RTCP) about every five seconds; what comes is read in any case"`
	NoMediaTimeout Duration `key:"no_media_timeout" default:"30s" min:"1s" help:"a live track without packets for so long is told"`
}

// Supervise is whom to hear.
type Supervise struct {
	Supervisors   []Supervisor `key:"supervisors" help:"several supervisors, each with a login and devices; the short form is ringcentral.jwt and device_id"`
	Agents        []string     `key:"agents" help:"extension numbers (or ids) of the agents to hear"`
	Groups        []string     `key:"groups" help:"call monitoring groups (ids or names) whose monitored members to hear"`
	Mode          string       `key:"mode" default:"party" oneof:"party,session" help:"party: a stream per party; session: one mixed stream"`
	DeviceID      string       `key:"device_id" help:"the supervisor's device; default the only fitting one"`
	Feed          bool         `key:"feed" default:"true" help:"hear of calls by RingCentral's event feed (WebSocket); false: by presence alone"`
	Poll          Duration     `key:"poll" default:"8s" min:"100ms" max:"10m" help:"how often presence is looked at while the feed is down (a heavy request: 10 a minute at most)"`
	Directions    []string     `key:"directions" oneof:"inbound,outbound" help:"only calls of these directions; default both"`
	Queues        []string     `key:"queues" help:"only calls through these queues (extension numbers or ids); default all calls"`
	Numbers       []string     `key:"numbers" help:"only calls with these numbers (E.164 prefixes such as +44); default any"`
	NotNumbers    []string     `key:"not_numbers" help:"never calls with these numbers (E.164 prefixes)"`
	Priority      []string     `key:"priority" help:"whose calls come first where the pool is too small: agents, queues (numbers or ids), groups (ids or names), inbound, outbound; the rest last"`
	Share         int          `key:"share" default:"100" min:"1" max:"100" help:"percent of the calls to hear, chosen by the session id"`
	Schedule      []string     `key:"schedule" help:"only calls that begin then, such as Mon-Fri 08:00-18:00, in timezone; default always"`
	Internal      bool         `key:"internal" default:"false" help:"hear calls between extensions of the account too"`
	Hook          Hook         `key:"hook"`
	RejoinTimeout Duration     `key:"rejoin_timeout" default:"30s" min:"0s" help:"how long a call stays open after its last BYE while RingCentral still shows it"`
}

// Hook decides about a call that all rules want: a program or a web service that answers yes, no or masked.
type Hook struct {
	Command []string `key:"command" help:"program and arguments; the call comes as JSON on its standard input, its answer is yes, no or masked (docs/policy-hook.md)"`
	URL     string   `key:"url" help:"or a web service: the call is POSTed there"`
	Timeout Duration `key:"timeout" default:"1s" min:"100ms" max:"10s" help:"how long it may take"`
	Default bool     `key:"default" default:"false" help:"the decision when it fails or takes too long"`
}

// Supervisor is one login with its devices.
type Supervisor struct {
	JWT     secret.Text `key:"jwt" help:"this supervisor's JWT credential"`
	Devices []Device    `key:"devices" help:"its devices"`
	Groups  []string    `key:"groups" help:"groups it may monitor (ids or names); default as RingCentral says"`
}

// Device is one device of a supervisor.
type Device struct {
	ID         string `key:"id" help:"device id; with one device it may be left away: the only fitting one"`
	MaxDialogs int    `key:"max_dialogs" default:"0" min:"0" help:"dialogs at once (a call takes two in party mode); 0: learned, when INVITEs stop coming"`
}

// Record is where and how calls are recorded.
type Record struct {
	Dir      string   `key:"dir" default:"recordings" help:"folder of the recordings"`
	Format   string   `key:"format" default:"wav" oneof:"wav,mulaw" help:"wav: 16-bit PCM; mulaw: G.711 as received, bit for bit, also in A-law"`
	Channels Channels `key:"channels"`
	Fill     string   `key:"fill" default:"silence" oneof:"silence,conceal" help:"what stands in place of lost packets; conceal: what the speech before suggests, 60 ms at most"`
	Sync     Duration `key:"sync" default:"1s" min:"100ms" max:"5s" help:"how often what is recorded is made durable: a power loss takes no more"`
	Buffer   Duration `key:"buffer" default:"8s" min:"1s" max:"60s" help:"audio of a track that may wait for a disk that stands still; what comes beyond is named missing"`
	Disk     Disk     `key:"disk"`
	Sign     bool     `key:"sign" default:"true" help:"sign recordings, and name them in the evidence log of dir (docs/evidence.md)"`
	Encrypt  Encrypt  `key:"encrypt"`
	Consent  Consent  `key:"consent"`
	Mask     Mask     `key:"mask"`
	OnHold   string   `key:"on_hold" default:"keep" oneof:"keep,mask" help:"what is said while a call is on hold: kept, or held back from recording and streams (docs/masking.md)"`
	KeyFile  string   `key:"key_file" help:"private key to sign with (Ed25519, PEM); default dir/evidence/key.pem, made if missing"`
	// Retention is how long recordings are kept.
	Retention Retention `key:"retention"`
	Vault     Vault     `key:"vault"`
	VCon      bool      `key:"vcon" default:"false" help:"write an IETF vCon into each recording's folder (call.vcon.json; docs/recordings.md)"`
}

// Retention is how long recordings are kept; what it says when a call ends stands in its recording.
type Retention struct {
	Default string           `key:"default" help:"how long recordings are kept that no class fits, such as 90d, 12w or 5y; empty: for ever (docs/retention.md)"`
	Classes []RetentionClass `key:"classes" help:"kinds of calls that are kept for another time; the first that fits counts"`
	Prune   string           `key:"prune" default:"true" help:"true: each day at 03:00 in timezone what is past its time is erased; a time such as 04:30: then; false: only by earshot recordings prune"`
}

// RetentionClass keeps the calls that fit all of its lists.
type RetentionClass struct {
	Name       string   `key:"name" help:"name of the class, as recordings show it"`
	Keep       string   `key:"keep" help:"how long, such as 5y; empty: for ever"`
	Agents     []string `key:"agents" help:"calls of these agents (extension numbers)"`
	Queues     []string `key:"queues" help:"calls through these queues (extension numbers or ids)"`
	Numbers    []string `key:"numbers" help:"calls with these numbers (E.164 prefixes such as +44)"`
	Directions []string `key:"directions" oneof:"inbound,outbound" help:"calls of these directions"`
}

// Consent is on what ground calls are recorded. One word in its place is its mode.
type Consent struct {
	Mode  string `key:"mode" short:"true" oneof:"assumed,required" help:"assumed: every call may be recorded, basis says why; required: each call is held back until somebody consents; default: not stated, which is told (docs/consent.md)"`
	Basis string `key:"basis" help:"on what ground, in your words: it stands in each recording.json"`
	Until string `key:"until" default:"mask" oneof:"mask,memory" help:"what is said before consent: silence for good, or 30 s of it wait in memory"`
}

// Mask is how people hold back what is said.
type Mask struct {
	Max     Duration `key:"max" default:"10m" min:"1s" max:"24h" help:"a mask that nobody ended ends after so long, loudly (docs/masking.md)"`
	DTMFOn  string   `key:"dtmf_on" help:"keys that an agent dials to mask the call, such as *1; default none"`
	DTMFOff string   `key:"dtmf_off" help:"keys that end the mask, such as *2"`
}

// Disk is how much room recordings need.
type Disk struct {
	Warn   Room `key:"warn" default:"2GB" help:"with less room (5GB, 5%) it is told in log, status and metrics; off: never"`
	Refuse Room `key:"refuse" default:"500MB" help:"with less room no new calls are taken, so that those that are heard can be recorded to their end; off: never"`
}

// Encrypt is to whom audio is encrypted; with nobody named it is not.
type Encrypt struct {
	Recipients     []string `key:"recipients" help:"encrypt audio at rest to these (age1..., from age-keygen); no audio is then written in plain (docs/keys.md)"`
	RecipientsFile string   `key:"recipients_file" help:"or to those that a file names, one a line"`
}

// Channels says which side goes where.
type Channels struct {
	Customer string `key:"customer" default:"left" oneof:"left,right" help:"the customer's channel"`
	Agent    string `key:"agent" default:"right" oneof:"left,right" help:"the agent's channel"`
}

// Stream is one consumer of live audio.
type Stream struct {
	Name           string      `key:"name" help:"name in logs and metrics; default the program's, the host's or the preset's"`
	Type           string      `key:"type" oneof:"exec,unix,tcp,fifo,websocket,twilio,openai,audiohook" help:"exec, the default: a program with the audio on its standard input; twilio: Twilio Media Streams; openai: OpenAI's realtime transcription; audiohook: Genesys AudioHook"`
	Preset         string      `key:"preset" oneof:"deepgram,assemblyai,vosk,whisperlive,jambonz" help:"a websocket as that service knows it; what is set beside it wins"`
	Command        []string    `key:"command" help:"exec: program and arguments; no shell"`
	Address        string      `key:"address" help:"tcp: host:port; unix, fifo: a path, such as /run/asr-{track}.sock"`
	URL            string      `key:"url" help:"websocket, twilio, openai, audiohook: wss://..., may hold {call}, {rate} and others (docs/streaming.md)"`
	TLS            bool        `key:"tls" default:"false" help:"tcp: with TLS"`
	CAFile         string      `key:"ca_file" help:"tcp with TLS, wss: PEM file of the authorities to trust instead of the system's"`
	Headers        []string    `key:"headers" help:"websocket and what is built on it: such as \"Authorization: Bearer {secret}\""`
	Secret         secret.Text `key:"secret" help:"fills {secret} in headers and url; audiohook: signs the request where neither has it; also as secret_file"`
	Subprotocol    string      `key:"subprotocol" help:"websocket: Sec-WebSocket-Protocol"`
	First          string      `key:"first" help:"text before the audio, may hold {call}, {facts} and others; openai: session.update, or texts, one a line"`
	Last           string      `key:"last" help:"text after the audio"`
	Answers        string      `key:"answers" oneof:"deepgram,assemblyai,vosk,whisperlive,openai,audiohook,json" help:"websocket and what is built on it, exec: whose answers are read as a transcript, default the preset's or the type's; exec: json, a line of JSON on standard output for each utterance (docs/transcripts.md)"`
	Revoked        string      `key:"revoked" help:"websocket: text when a mask takes back what was sent, with {from} and {samples} of the stream at 8000 Hz"`
	KeepAlive      string      `key:"keepalive" help:"websocket: text where nothing was sent for a while"`
	KeepAliveEvery Duration    `key:"keepalive_every" min:"1s" max:"1h" help:"how long that is; default 5s"`
	Per            string      `key:"per" default:"track" oneof:"track,call" help:"a consumer per track, or one per call"`
	Format         string      `key:"format" oneof:"s16le,mulaw,alaw,f32le" help:"samples; default s16le, or the preset's"`
	Rate           int         `key:"rate" oneof:"8000,16000,24000" help:"samples a second; default 8000, or the preset's; openai with s16le: 24000"`
	Restart        string      `key:"restart" default:"on-failure" oneof:"never,on-failure,always" help:"exec: when a program that ended is started again; connections are made anew while the call lives"`
	MaxRestarts    int         `key:"max_restarts" default:"5" min:"0" help:"exec: then it is given up for that call"`
	Buffer         Duration    `key:"buffer" default:"5s" min:"100ms" max:"60s" help:"audio kept for a slow consumer, or one that is away; the oldest is lost first"`
	CatchUp        bool        `key:"catch_up" default:"false" help:"a consumer that was away, or too slow, gets what it missed from the recording, up to 8 times as fast, then what is live"`
	Overlap        Duration    `key:"overlap" min:"1ms" max:"5m" help:"with catch_up: how much of what a connection that broke was given last the next one is given again; default what the kernel may have held of it"`
	Message        Duration    `key:"message" min:"20ms" max:"200ms" help:"audio given to the consumer at a time, default 100ms (audiohook 200ms) or the preset's; shorter costs more processor time"`
	Env            []string    `key:"env" help:"NAME=value: exec: added to the program's environment; twilio: to customParameters; audiohook: to customConfig"`
}

// Console is the HTTP side.
type Console struct {
	Listen string      `key:"listen" default:"127.0.0.1:8080" help:"address of /livez, /readyz and /metrics, and of the calls; off: none"`
	Auth   ConsoleAuth `key:"auth"`
	TLS    ConsoleTLS  `key:"tls"`
}

// ConsoleAuth is who may see and hear calls over HTTP.
type ConsoleAuth struct {
	Token secret.Text `key:"token" help:"opens /status, /events and /calls/ID/audio.wav, as a bearer; also as token_file; default: they are closed"`
}

// ConsoleTLS is the console's certificate.
type ConsoleTLS struct {
	CertFile string `key:"cert_file" help:"PEM file of the console's certificate and its chain; default: without TLS"`
	KeyFile  string `key:"key_file" help:"PEM file of its private key"`
}

// Control is the socket that other commands use.
type Control struct {
	Socket string `key:"socket" help:"unix socket of the running daemon; default record.dir/earshot.sock"`
}

// Log is what goes to standard error.
type Log struct {
	Level  string `key:"level" default:"info" oneof:"debug,info,warn,error" help:"least level"`
	Format string `key:"format" default:"text" oneof:"text,json" help:"form of a line"`
	PII    bool   `key:"pii" default:"false" help:"write phone numbers whole; else +1650*****23"`
}

// Duration is a time.Duration written as 60ms or 2s.
type Duration = time.Duration

// Ports is a range of UDP ports, written as 20000-29999; 0-0 leaves the choice to the kernel.
type Ports struct{ Min, Max uint16 }
