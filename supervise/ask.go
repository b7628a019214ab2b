package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// superviseBody is the request as it is today.
type superviseBody struct {
	Mode       string `json:"mode"`
	Device     string `json:"supervisorDeviceId"`
	Agent      string `json:"agentExtensionId"`
	AutoAnswer bool   `json:"autoAnswer"`
	MediaSDP   string `json:"mediaSDP,omitempty"`
}

// legacyBody is the request as it was in 2019.
type legacyBody struct {
	Mode   string `json:"mode"`
	Agent  string `json:"extensionNumber"`
	Device string `json:"deviceId"`
}

// supervise asks for one stream and gives our party's id.
func (s *Supervisor) supervise(ctx context.Context, a actAsk) (string, error) {
	d := s.devices[a.device]
	s.mu.Lock()
	device := d.device.ID
	s.mu.Unlock()
	if device == "" {
		d, err := s.Device(ctx, a.device)
		if err != nil {
			return "", err
		}
		device = d.ID
	}
	share := shareAll
	if a.again {
		share = shareRetry
	}
	return s.logins[d.login].client.supervise(ctx, a, device, s.cfg.MediaSDP, share)
}

func (c *client) supervise(ctx context.Context, a actAsk, device, mediaSDP string, share int) (string, error) {
	r := request{op: opSuperviseParty, ids: []string{a.session, a.party}, share: share}
	if a.party == "" {
		r.op, r.ids = opSuperviseSession, []string{a.session}
	}
	today := superviseBody{Mode: "Listen", Device: device, Agent: a.agent.ID, AutoAnswer: true, MediaSDP: mediaSDP}
	legacy := legacyBody{Mode: "Listen", Agent: a.agent.Extension, Device: device}
	r.body = today
	if a.party == "" && c.legacy.Load() {
		r.body = legacy
	}
	var raw json.RawMessage
	err := c.ask(ctx, r, &raw)
	if a.party == "" && r.body == any(today) && wantsLegacy(err) {
		r.body = legacy
		second := c.ask(ctx, r, &raw)
		if e, ok := errors.AsType[*APIError](second); !ok || e.Code != "CMN-101" {
			err = second // the old form was understood; else the first answer says more
		}
		if second == nil {
			c.legacy.Store(true)
		}
	}
	if err != nil {
		return "", err
	}
	return parseSupervised(raw), nil
}

// wantsLegacy says whether a refusal names a field that has another name since 2019.
func wantsLegacy(err error) bool {
	e, ok := errors.AsType[*APIError](err)
	if !ok || e.Status != http.StatusBadRequest || e.Code != "CMN-101" {
		return false
	}
	for _, field := range []string{"supervisorDeviceId", "agentExtensionId"} {
		if strings.EqualFold(e.Parameter, field) || strings.Contains(e.Message, field) {
			return true
		}
	}
	return false
}
