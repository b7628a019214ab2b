package ringsim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// verb is something that a step can do.
type verb struct {
	needs, may []string
	check      func(*step) error
	run        func(*play, *step) error
}

// play is a scenario under way.
type play struct {
	sim   *Sim
	calls map[string]*Call
	says  map[string]bool // call and role that speak by steps only
	audio map[string]trunk.Source
}

var verbs = map[string]verb{
	"start":      {needs: []string{"call"}, may: []string{"agent", "direction", "peer", "queue", "customer", "name", "answer", "form", "audio", "law", "leak"}, check: checkStart, run: (*play).start},
	"answer":     onCall(func(_ *play, c *Call, _ *step) error { c.Answer(); return nil }),
	"occupy":     onCall(func(_ *play, c *Call, st *step) error { return c.Occupy(st.arg["by"]) }).or("by"),
	"vacate":     onCall(func(_ *play, c *Call, _ *step) error { return c.Vacate() }),
	"say":        {needs: []string{"call", "who", "for"}, may: []string{"audio"}, check: checkSay, run: (*play).say},
	"hold":       onCall(func(_ *play, c *Call, _ *step) error { c.Hold(); return nil }),
	"resume":     onCall(func(_ *play, c *Call, _ *step) error { c.Resume(); return nil }),
	"transfer":   onCall((*play).transfer, "to").or("queue"),
	"consult":    onCall((*play).consult, "to", "as").or("answer"),
	"complete":   onCall(func(p *play, c *Call, st *step) error { return c.TransferAttended(p.calls[st.arg["with"]]) }, "with"),
	"ring-next":  onCall(func(_ *play, c *Call, st *step) error { return c.RingNext(st.arg["to"]) }, "to"),
	"park":       onCall(func(_ *play, c *Call, _ *step) error { return c.Park() }),
	"pick-up":    onCall((*play).pickUp, "by", "as"),
	"add":        onCall((*play).add, "number").or("name"),
	"drop":       onCall((*play).drop, "number"),
	"switch":     onCall(func(_ *play, c *Call, _ *step) error { return c.SwitchDevice() }),
	"hang-up":    onCall(func(_ *play, c *Call, st *step) error { c.HangupBy(Role(st.arg["who"])); return nil }).or("who").checked(checkWho),
	"fault":      {needs: []string{"kind"}, may: []string{"for", "count", "method", "path", "retry_after", "delay", "device", "permission"}, check: checkFault, run: (*play).fault},
	"heal":       {run: func(p *play, _ *step) error { p.sim.Heal(); return nil }},
	"members":    {needs: []string{"group"}, may: []string{"monitoring", "monitored"}, run: (*play).members},
	"end":        {run: func(p *play, _ *step) error { p.end(); return nil }},
	"wait-feed":  {needs: []string{"within"}, check: checkWithin},
	"wait-heard": onCall(nil, "within").checked(checkWithin),
}

// onCall is a verb that does something to a call.
func onCall(f func(*play, *Call, *step) error, needs ...string) verb {
	return verb{needs: append([]string{"call"}, needs...), run: func(p *play, st *step) error { return f(p, p.calls[st.call], st) }}
}

func (v verb) or(may ...string) verb {
	v.may = may
	return v
}

func (v verb) checked(f func(*step) error) verb {
	v.check = f
	return v
}

func checkWho(st *step) error {
	if w := st.arg["who"]; w != "" && w != string(RoleCustomer) && w != string(RoleAgent) {
		return fmt.Errorf("who: %q: want customer or agent", w)
	}
	return nil
}

func verbList() string {
	names := make([]string, 0, len(verbs))
	for n := range verbs {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Play plays a scenario in real time and gives its calls by their names. Those that no step ended are hung up behind the
// last step; it returns when all have ended, or with the first step that could not be done.
func (s *Sim) Play(ctx context.Context, sc Scenario) (map[string]*Call, error) {
	p := &play{sim: s, calls: map[string]*Call{}, says: map[string]bool{}, audio: map[string]trunk.Source{}}
	for _, st := range sc.steps {
		if st.do == "say" {
			p.says[st.call+" "+st.arg["who"]] = true
		}
	}
	defer p.end()
	begin := time.Now()
	for i := range sc.steps {
		st := &sc.steps[i]
		if err := until(ctx, begin.Add(st.at)); err != nil {
			return p.calls, err
		}
		s.log.Info("step", slog.Int("line", st.line), slog.String("do", st.do), slog.String("name", st.call))
		waits := time.Now()
		err := p.do(ctx, st)
		if err != nil {
			return p.calls, fmt.Errorf("scenario %s: line %d: %s: %w", sc.Name, st.line, st.do, err)
		}
		if st.do == "wait-feed" { // a client takes its time: the story has not gone on meanwhile
			begin = begin.Add(time.Since(waits))
		}
	}
	if err := until(ctx, begin.Add(sc.Length())); err != nil {
		return p.calls, err
	}
	p.end()
	for _, c := range p.calls {
		select {
		case <-c.Done():
		case <-ctx.Done():
			return p.calls, ctx.Err()
		}
	}
	return p.calls, nil
}

func until(ctx context.Context, when time.Time) error {
	t := time.NewTimer(time.Until(when))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *play) do(ctx context.Context, st *step) error {
	if run := verbs[st.do].run; run != nil && st.do != "wait-heard" {
		return run(p, st)
	}
	within, err := span(st.arg, "within")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if st.do == "wait-feed" {
		return p.sim.waitFeed(ctx)
	}
	return p.calls[st.call].WaitSupervised(ctx)
}

// waitFeed waits until somebody has subscribed to the event feed.
func (s *Sim) waitFeed(ctx context.Context) error {
	const look = 20 * time.Millisecond
	t := time.NewTicker(look)
	defer t.Stop()
	for s.Subscribers() == 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("nobody has subscribed to the event feed: %w", ctx.Err())
		}
	}
	return nil
}

func checkWithin(st *step) error {
	_, err := span(st.arg, "within")
	return err
}

func (p *play) end() {
	for _, c := range p.calls {
		c.Hangup()
	}
}

func checkStart(st *step) error {
	if _, err := audio(st.arg["audio"], nil); err != nil {
		return err
	}
	if v := st.arg["leak"]; v != "" {
		if err := real0(v, new(float64), maxLeak); err != nil {
			return fmt.Errorf("leak: %w", err)
		}
	}
	for key, legal := range map[string][]string{
		"direction": {"", "inbound", "outbound"}, "answer": {"", "on", "off", "true", "false"}, "law": {"", "PCMU", "PCMA"},
		"form": {"", string(FormTwoDialogs), string(FormTwoLines), string(FormMixed)},
	} {
		if !slices.Contains(legal, st.arg[key]) {
			return fmt.Errorf("%s: %q: want %s", key, st.arg[key], strings.Join(legal[1:], ", "))
		}
	}
	return nil
}

// audio is a source by its name; an empty name is of.
func audio(name string, of trunk.Source) (trunk.Source, error) {
	switch name {
	case "":
		return of, nil
	case "numbered", "speech":
		return of, nil
	case "silence":
		return trunk.Silence{}, nil
	case "music":
		return Music{}, nil
	default:
		return nil, fmt.Errorf("audio: %q: want speech, numbered, silence or music", name)
	}
}

// start begins a call. Who has a "say" somewhere is silent but for these.
func (p *play) start(st *step) error {
	spec := CallSpec{
		Agent: st.arg["agent"], Peer: st.arg["peer"], Queue: st.arg["queue"], Outbound: st.arg["direction"] == "outbound",
		Customer: Customer{Number: st.arg["customer"], Name: st.arg["name"]}, Ringing: st.arg["answer"] == "off" || st.arg["answer"] == "false",
		Form: Form(st.arg["form"]),
	}
	if v := st.arg["leak"]; v != "" {
		if err := real0(v, &spec.Leak, maxLeak); err != nil {
			return err
		}
		if spec.Leak == 0 {
			spec.Leak = -1 // clean, whatever the settings say
		}
	}
	if st.arg["law"] == "PCMA" {
		spec.Law = trunk.PCMA
	}
	for role, to := range map[Role]*trunk.Source{RoleCustomer: &spec.CustomerAudio, RoleAgent: &spec.AgentAudio} {
		src := p.own(role, st.arg["audio"])
		p.audio[st.call+" "+string(role)] = src
		if *to = src; p.says[st.call+" "+string(role)] {
			*to = trunk.Silence{}
		}
	}
	c, err := p.sim.StartCall(spec)
	if err == nil {
		p.calls[st.call] = c
	}
	return err
}

// own is what somebody says who speaks all the time: numbered octets unless it is to be speech.
func (p *play) own(role Role, name string) trunk.Source {
	customer, agent := Speech()
	of := agent
	if role == RoleCustomer {
		of = customer
	}
	if name == "numbered" {
		p.sim.mu.Lock()
		of = Numbered(p.sim.world.random.Uint32())
		p.sim.mu.Unlock()
	}
	src, err := audio(name, of)
	if err != nil {
		return of // checked before
	}
	return src
}

func checkSay(st *step) error {
	if err := checkWho(st); err != nil {
		return err
	}
	if _, err := audio(st.arg["audio"], nil); err != nil {
		return err
	}
	var err error
	st.span, err = span(st.arg, "for")
	return err
}

func (p *play) say(st *step) error {
	src, err := audio(st.arg["audio"], p.audio[st.call+" "+st.arg["who"]])
	if err != nil {
		return err
	}
	if src == nil {
		src = p.own(Role(st.arg["who"]), st.arg["audio"])
	}
	return p.calls[st.call].Say(Role(st.arg["who"]), src, st.span)
}

func (p *play) transfer(c *Call, st *step) error {
	if q := st.arg["queue"]; q != "" {
		return c.TransferQueue(q, st.arg["to"])
	}
	return c.TransferBlind(st.arg["to"])
}

func (p *play) consult(c *Call, st *step) error {
	spec := CallSpec{Customer: Customer{Number: st.arg["to"]}, Ringing: st.arg["answer"] == "off" || st.arg["answer"] == "false"}
	if p.sim.cfg.Account.byNumber(st.arg["to"]) != nil {
		spec.Peer = st.arg["to"]
	}
	other, err := c.Consult(spec)
	if err == nil {
		p.calls[st.arg["as"]] = other
	}
	return err
}

func (p *play) pickUp(c *Call, st *step) error {
	other, err := c.PickUp(st.arg["by"])
	if err == nil {
		p.calls[st.arg["as"]] = other
	}
	return err
}

func (p *play) add(c *Call, st *step) error {
	_, err := c.AddParty(PartySpec{Number: st.arg["number"], Name: st.arg["name"]})
	return err
}

// drop finds the person by the number.
func (p *play) drop(c *Call, st *step) error {
	id := c.read(func(se *session) string {
		x := p.sim.cfg.Account.byNumber(st.arg["number"])
		for _, q := range se.parties {
			if q.live() && q.role != RoleSupervisor && (q.ends().phone == st.arg["number"] || x != nil && q.extension == x) {
				return q.id
			}
		}
		return ""
	})
	return c.DropParty(id)
}

func checkFault(st *step) error {
	f, err := faultOf(st)
	if err != nil {
		return err
	}
	return f.check()
}

func faultOf(st *step) (Fault, error) {
	f := Fault{Kind: FaultKind(st.arg["kind"]), Method: st.arg["method"], Path: st.arg["path"], Device: st.arg["device"], Permission: st.arg["permission"]}
	var err error
	if f.Count, err = number0(st.arg, "count"); err != nil {
		return f, err
	}
	for key, to := range map[string]*time.Duration{"for": &f.For, "retry_after": &f.RetryAfter, "delay": &f.Delay} {
		if *to, err = span(st.arg, key); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (p *play) fault(st *step) error {
	f, err := faultOf(st)
	if err != nil {
		return err
	}
	return p.sim.Inject(f)
}

// members sets a group's members by extension numbers, separated by spaces.
func (p *play) members(st *step) error {
	var out []Member
	add := func(numbers string, set func(*Member)) error {
		for _, n := range strings.Fields(numbers) {
			x := p.sim.cfg.Account.byNumber(n)
			if x == nil {
				return fmt.Errorf("extension %s: unknown", n)
			}
			i := slices.IndexFunc(out, func(m Member) bool { return m.Extension == x.ID })
			if i < 0 {
				i, out = len(out), append(out, Member{Extension: x.ID})
			}
			set(&out[i])
		}
		return nil
	}
	if err := add(st.arg["monitoring"], func(m *Member) { m.Monitoring = true }); err != nil {
		return err
	}
	if err := add(st.arg["monitored"], func(m *Member) { m.Monitored = true }); err != nil {
		return err
	}
	return p.sim.SetMembers(st.arg["group"], out)
}
