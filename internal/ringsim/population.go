package ringsim

import (
	"fmt"
	"slices"
)

// Population says how large a made-up account is; zero fields mean 1.
type Population struct {
	Agents      int
	Supervisors int // extensions 101 to 107, then 9008, 9009, ..., each with a JWT
	Devices     int // OtherPhones of each supervisor
	Groups      int // the agents are dealt out to so many groups; each supervisor monitors all of them
	MaxDialogs  int // calls that a device may have, 0: unlimited
}

const (
	supervisorStep         = 1000
	firstSupervisor  int64 = 62226587016
	firstDevice      int64 = 802636634016
	firstSIPUser     int64 = 12055550101
	deviceStep       int64 = 1000
	maxPerSupervisor       = 100
	maxSupervisors         = 100
)

// supervisorNumber is the i-th supervisor's extension: those below the agents', then others.
func supervisorNumber(i int) int {
	if i < FirstAgentNumber-101 {
		return 101 + i
	}
	return 9001 + i
}

// Populate makes an account of that size. Its first supervisor, agents and device are those of [DefaultAccount]; the ids of
// the others follow from their numbers.
func Populate(p Population) (Account, error) {
	for _, n := range []*int{&p.Agents, &p.Supervisors, &p.Devices, &p.Groups} {
		if *n == 0 {
			*n = 1
		}
		if *n < 0 {
			return Account{}, fmt.Errorf("ringsim: population: %+v: want nothing negative", p)
		}
	}
	if p.Supervisors > maxSupervisors || p.Devices > maxPerSupervisor {
		return Account{}, fmt.Errorf("ringsim: population: %d supervisors with %d devices: want at most %d with %d",
			p.Supervisors, p.Devices, maxSupervisors, maxPerSupervisor)
	}
	a := DefaultAccount(p.Agents)
	supervisors, agents := []Extension{a.Extensions[0]}, a.Extensions[1:]
	devices, phones := []Device{a.Devices[0], a.Devices[1]}, a.Devices[2:]
	for i := 1; i < p.Supervisors; i++ {
		id := fmt.Sprint(firstSupervisor + supervisorStep*int64(i))
		supervisors = append(supervisors, Extension{
			ID: id, Number: fmt.Sprint(supervisorNumber(i)), Name: fmt.Sprintf("Supervisor %d", supervisorNumber(i)), Phone: fmt.Sprintf("+%d", firstSIPUser+int64(i)),
			JWT: madeUpJWT(id),
		})
	}
	for i := range supervisors {
		for j := range p.Devices {
			n := int64(i*maxPerSupervisor + j)
			if n == 0 {
				continue
			}
			devices = append(devices, Device{
				ID: fmt.Sprint(firstDevice + deviceStep*n), Extension: supervisors[i].ID, Type: "OtherPhone",
				Name: fmt.Sprintf("Existing Phone %d of %s", j+1, supervisors[i].Number), UserName: fmt.Sprint(firstSIPUser + 1000*n),
				Password: fmt.Sprintf("ringsim-made-up-pw-%d", n),
			})
		}
	}
	for i := range devices {
		devices[i].MaxDialogs = p.MaxDialogs
	}
	a.Extensions, a.Devices = append(slices.Clone(supervisors), agents...), append(devices, phones...)
	a.Groups = nil
	for g := range p.Groups {
		group := Group{ID: fmt.Sprint(8121017 + g), Name: fmt.Sprintf("Team %d", g+1)}
		for _, x := range supervisors {
			group.Members = append(group.Members, Member{Extension: x.ID, Monitoring: true})
		}
		for i := g; i < len(agents); i += p.Groups {
			group.Members = append(group.Members, Member{Extension: agents[i].ID, Monitored: true})
		}
		a.Groups = append(a.Groups, group)
	}
	return a, nil
}

// SetMembers changes who is in a call monitoring group while the simulator runs. Supervisions that go on are left alone.
func (s *Sim) SetMembers(group string, members []Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.cfg.Account.group(group)
	if g == nil {
		return fmt.Errorf("ringsim: group %s: unknown", group)
	}
	for _, m := range members {
		if s.cfg.Account.extension(m.Extension) == nil {
			return fmt.Errorf("ringsim: group %s: member %q: unknown", group, m.Extension)
		}
	}
	g.Members = slices.Clone(members)
	return nil
}

// Account is who exists, as a copy.
func (s *Sim) Account() Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.cfg.Account
	a.Groups = slices.Clone(a.Groups)
	return a
}
