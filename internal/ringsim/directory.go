package ringsim

import (
	"slices"
	"strconv"
	"time"
)

func (s *Sim) accountURI(rq *request) string {
	return rq.host + "/restapi/v1.0/account/" + s.cfg.Account.ID
}

func (s *Sim) extensionURI(rq *request, id string) string {
	return s.accountURI(rq) + "/extension/" + id
}

// number gives an id as older resources do: as a JSON number.
func number(id string) any {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		return n
	}
	return id
}

// pathExtension resolves {extension}: "~" is the caller's own.
func (s *Sim) pathExtension(rq *request) (*Extension, *apiError) {
	id := rq.PathValue("extension")
	if id == "~" {
		return rq.user, nil
	}
	x := s.cfg.Account.extension(id)
	if x == nil {
		return nil, notFound("extensionId", id)
	}
	return x, nil
}

func (s *Sim) extensionObject(rq *request, x *Extension) object {
	return object{
		"uri": s.extensionURI(rq, x.ID), "id": number(x.ID), "extensionNumber": x.Number, "name": x.Name, "type": "User", "status": "Enabled",
		"contact":     object{"firstName": x.Name, "email": "user" + x.Number + "@example.com", "businessPhone": x.Phone},
		"permissions": object{"admin": object{"enabled": x.Number == SupervisorNumber}, "internationalCalling": object{"enabled": true}},
	}
}

func (s *Sim) getExtension(rq *request) (any, *apiError) {
	x, fail := s.pathExtension(rq)
	if fail != nil {
		return nil, fail
	}
	o := s.extensionObject(rq, x)
	o["account"] = object{"id": s.cfg.Account.ID, "uri": s.accountURI(rq)}
	return o, nil
}

func (s *Sim) getExtensions(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	keep := func(name, value string) bool {
		want := rq.query[name]
		return len(want) == 0 || slices.Contains(want, value)
	}
	var all []object
	for i := range s.cfg.Account.Extensions {
		x := &s.cfg.Account.Extensions[i]
		if keep("extensionNumber", x.Number) && keep("type", "User") && keep("status", "Enabled") {
			all = append(all, s.extensionObject(rq, x))
		}
	}
	return rq.list(all, p), nil
}

func (s *Sim) getGroups(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	member := rq.queryValue("memberExtensionId")
	if member != "" && s.cfg.Account.extension(member) == nil {
		return nil, notFound("memberExtensionId", member)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []object
	for _, g := range s.cfg.Account.Groups {
		if member != "" && !slices.ContainsFunc(g.Members, func(m Member) bool { return m.Extension == member }) {
			continue
		}
		all = append(all, object{
			"uri": s.accountURI(rq) + "/call-monitoring-groups/" + g.ID, "id": g.ID, "name": g.Name,
			"site": object{"id": "main-site", "name": "Main Site"},
		})
	}
	return rq.list(all, p), nil
}

func (s *Sim) getMembers(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.cfg.Account.group(rq.PathValue("group"))
	if g == nil {
		return nil, notFound("groupId", rq.PathValue("group"))
	}
	all := make([]object, 0, len(g.Members))
	for _, m := range g.Members {
		x := s.cfg.Account.extension(m.Extension)
		permissions := []string{}
		if m.Monitoring {
			permissions = append(permissions, "Monitoring")
		}
		if m.Monitored {
			permissions = append(permissions, "Monitored")
		}
		// The id is a string here, a number in the list of extensions.
		all = append(all, object{"uri": s.extensionURI(rq, x.ID), "id": x.ID, "extensionNumber": x.Number, "permissions": permissions})
	}
	return rq.list(all, p), nil
}

func (s *Sim) online(d *Device) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onlineLocked(d)
}

// onlineLocked tells a device's status: it follows the registration, unless a fault hides that.
func (s *Sim) onlineLocked(d *Device) bool {
	if s.matchFaultLocked(time.Now(), func(f *fault) bool { return f.Kind == FaultDeviceOffline && (f.Device == "" || f.Device == d.ID) }) != nil {
		return false
	}
	if d.Status != "" {
		return d.Status == "Online"
	}
	return d.UserName != "" && s.trunk.Online(d.UserName)
}

func (s *Sim) deviceObject(rq *request, d *Device) object {
	x := s.cfg.Account.extension(d.Extension)
	status := "Offline"
	if s.online(d) {
		status = "Online"
	}
	o := object{
		"uri": s.accountURI(rq) + "/device/" + d.ID, "id": d.ID, "type": d.Type, "name": d.Name, "status": status,
		"extension": object{"uri": s.extensionURI(rq, x.ID), "id": number(x.ID), "extensionNumber": x.Number},
	}
	if d.Type == "SoftPhone" {
		o["serial"], o["computerName"] = "LMRC8531", "LMRC8531"
		return o
	}
	o["sku"], o["linePooling"] = "DV-1", "None"
	o["phoneLines"] = []object{{
		"id": "1", "lineType": "Standalone", "emergencyAddress": object{"required": true, "localOnly": false},
		"phoneInfo": object{"id": 244136004, "phoneNumber": x.Phone, "type": "VoiceFax", "usageType": "DirectNumber"},
	}}
	return o
}

func (s *Sim) getDevices(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	x, fail := s.pathExtension(rq)
	if fail != nil {
		return nil, fail
	}
	var all []object
	for i := range s.cfg.Account.Devices {
		if d := &s.cfg.Account.Devices[i]; d.Extension == x.ID {
			all = append(all, s.deviceObject(rq, d))
		}
	}
	return rq.list(all, p), nil
}

func (s *Sim) getDevice(rq *request) (any, *apiError) {
	d := s.cfg.Account.device(rq.PathValue("device"))
	if d == nil {
		return nil, notFound("deviceId", rq.PathValue("device"))
	}
	return s.deviceObject(rq, d), nil
}

// getSIPInfo gives a device's credentials; an app's device has none.
func (s *Sim) getSIPInfo(rq *request) (any, *apiError) {
	d := s.cfg.Account.device(rq.PathValue("device"))
	if d == nil || d.UserName == "" {
		return nil, notFound("deviceId", rq.PathValue("device"))
	}
	proxies := []object{}
	for _, region := range []string{"NA", "EMEA", "APAC", "LATAM"} {
		o := object{"region": region}
		if p := s.plainProxy(); p != "" {
			o["proxy"] = p
		}
		if p := s.Proxy("tls"); p != "" {
			o["proxyTLS"] = p
		}
		proxies = append(proxies, o)
	}
	return object{
		"domain": Domain, "outboundProxies": proxies,
		"userName": d.UserName, "password": d.Password, "authorizationId": d.ID,
	}, nil
}

// plainProxy is the "proxy" of sip-info, for UDP and TCP.
func (s *Sim) plainProxy() string {
	if p := s.Proxy("udp"); p != "" {
		return p
	}
	return s.Proxy("tcp")
}
