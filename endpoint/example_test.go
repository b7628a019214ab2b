package endpoint_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// ears counts what each party says.
type ears struct {
	samples map[call.Role]int64
	done    chan struct{}
}

// Write gets every party's frames; b and all in it are valid until it returns.
func (e *ears) Write(b *media.Batch) {
	for _, f := range b.Frames {
		e.samples[b.Tracks[f.Track-1].Party.Role] += int64(len(f.PCM))
	}
}

func (e *ears) End(call.Cause) { close(e.done) }

// A program of its own hears both parties of the first call that its agents have.
func ExampleEndpoint() {
	env, stop := simulatedRingCentral() // yours are RingCentral's, from the developer portal
	defer stop()

	heard := &ears{samples: map[call.Role]int64{}, done: make(chan struct{})}
	ep, err := endpoint.New(endpoint.Config{
		Supervisors: []endpoint.Supervisor{{
			RingCentral: supervise.Config{Server: env["RINGCENTRAL_SERVER_URL"], ClientID: env["RINGCENTRAL_CLIENT_ID"],
				ClientSecret: endpoint.Secret(env["RINGCENTRAL_CLIENT_SECRET"]), JWT: endpoint.Secret(env["RINGCENTRAL_JWT"]), Agents: []string{"108"}},
			Device: endpoint.Device{Account: sip.Config{Transport: "udp"}}, // credentials come from the device's sip-info
		}},
		Media: media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")},
		Sink:  func(call.Info) media.Sink { return heard },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- ep.Run(ctx) }()
	<-heard.done
	cancel()
	fmt.Println("run:", <-ended)
	for _, r := range []call.Role{call.RoleCustomer, call.RoleAgent} {
		fmt.Printf("%s: more than a second: %v\n", r, heard.samples[r] > media.SampleRate)
	}
	// Output:
	// run: <nil>
	// customer: more than a second: true
	// agent: more than a second: true
}

// simulatedRingCentral has one agent on the line for three seconds.
func simulatedRingCentral() (env map[string]string, stop func()) {
	sim, err := ringsim.New(ringsim.Config{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- sim.Run(ctx) }()
	if _, err := sim.StartCall(ringsim.CallSpec{Agent: "108", For: 3 * time.Second}); err != nil {
		panic(err)
	}
	return dotEnv(sim), func() { cancel(); <-ended }
}
