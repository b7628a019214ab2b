// Package peertest runs the earshot binary against programs that we did not write. It has tests only.
//
// Kamailio is the registrar, over UDP, TCP and TLS with digest; baresip and sipp call through it, with known audio, and the
// recording is compared with what was sent, sample by sample. RingCentral's published SDKs (npm @rc-ex/core, @rc-ex/ws,
// @ringcentral/sdk, ringcentral-call-control and ringcentral-softphone) are the judges of the simulator, `earshot sim`.
// versitygw is the S3 server of the vault, and the library of Standard Webhooks (npm standardwebhooks) the judge of what services are told.
// ffmpeg and sox take streams; the SDKs of Deepgram, AssemblyAI, OpenAI and jambonz, and http-message-signatures, are the judges of what is sent to speech services.
//
// # Usage
//
//	scripts/peers.sh install     # the peers: Debian packages and npm modules
//	go test ./peertest
//
// A test whose peer is missing skips and says so; with CI=true in the environment it fails.
//
// # Concurrency
//
// The tests run in a network namespace of their own, as a child of the test process: addresses and ports are never shared
// with the machine, and no packet leaves it. Each test starts and awaits its peers; they die with the test process.
//
// # Limits
//
// Linux only, and root or unprivileged user namespaces. sipp of Debian knows neither TLS nor SRTP: Kamailio bridges its UDP
// to earshot's TLS, and baresip is the SRTP peer.
//
// # Standards
//
// RFC 3261, 3264, 4568, 5626 as the peers understand them.
//
// # Testing
//
// Audio is a sequence of which any 16 octets are unique: a run of it found in a recording says where it belongs.
package peertest
