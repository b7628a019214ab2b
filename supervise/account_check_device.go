package supervise

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// deviceOf looks at the device that the login's calls come to: whose it is, of which type, and who is registered with it.
func (c *checkup) deviceOf(ctx context.Context, l *checkedLogin) {
	devices, _, err := l.account.Devices(ctx)
	if err != nil {
		c.refused(l, MarkFail, "device", "give the user the permission ReadUserDevices", err)
		return
	}
	wanted := l.account.cfg.DeviceID
	if c.opts.DeviceID != "" {
		wanted = c.opts.DeviceID
	}
	d, err := chooseDevice(devices, wanted)
	switch {
	case err == nil:
	case wanted != "":
		c.foreignDevice(ctx, l, wanted, err)
		return
	default:
		c.add(l, MarkFail, "device", deviceCure(devices), "%s", err)
		return
	}
	l.device = d
	switch {
	case !strings.EqualFold(d.Type, fittingType):
		c.add(l, MarkFail, "device", "use a device of type "+fittingType+" (in the portal: Existing Phone): the credentials of others are not for programs",
			"%s (%s) is of type %s", d.ID, d.Name, d.Type)
		return
	case d.ExtensionID != "" && l.owner.ID != "" && d.ExtensionID != l.owner.ID:
		c.add(l, MarkFail, "device", "use the JWT of the user who owns the device, or a device of this user", "%s belongs to %s, the JWT to %s", d.ID, d.Extension, l.owner.Extension)
		return
	}
	c.add(l, MarkOK, "device", "", "%s (%s), %s of %s", d.ID, d.Name, d.Type, d.Extension)
	if id := c.opts.AuthorizationID; id != "" && id != d.ID && !c.several {
		c.add(l, MarkWarn, "device", "for an Existing Phone both are the same number: see sip.authorization_id and supervise.device_id",
			"calls are sent to %s, and the SIP account in the configuration is that of %s", d.ID, id)
	}
	c.online(l, d)
	c.sipInfo(ctx, l, d)
}

// deviceCure is what to do when none can be chosen.
func deviceCure(devices []Device) string {
	if len(FittingDevices(devices)) > 0 {
		return "name one in supervise.device_id"
	}
	return "in the admin portal, Phone System, Phones & Devices: add an Existing Phone (that is type " + fittingType + ") and assign it to the JWT's user"
}

// FittingDevices are those of the only type whose SIP account is meant for programs like this one.
func FittingDevices(devices []Device) (fitting []Device) {
	for _, d := range devices {
		if strings.EqualFold(d.Type, fittingType) {
			fitting = append(fitting, d)
		}
	}
	return fitting
}

// foreignDevice explains a configured device that the login's user does not have.
func (c *checkup) foreignDevice(ctx context.Context, l *checkedLogin, id string, err error) {
	d, readErr := l.account.DeviceByID(ctx, id)
	e, isAPI := errors.AsType[*APIError](readErr)
	switch {
	case readErr == nil && d.ID != "":
		c.add(l, MarkFail, "device", "use the JWT of "+orNone(d.Extension)+", who owns it, or a device of "+l.owner.Extension+": RingCentral calls devices of the JWT's user only",
			"%s (%s) belongs to %s, the JWT to %s", d.ID, d.Type, orNone(d.Extension), l.owner.Extension)
	case isAPI && e.Status == http.StatusNotFound:
		c.add(l, MarkFail, "device", "see supervise.device_id against `earshot devices`", "the account has no device %s (%s)", id, e)
	default:
		c.add(l, MarkFail, "device", "see supervise.device_id against `earshot devices`", "%s", err)
	}
}

// online compares RingCentral's word on the device with what this program knows of its registration.
func (c *checkup) online(l *checkedLogin, d Device) {
	online := strings.EqualFold(d.Status, "Online")
	const foreign = "one program a device: RingCentral sends a call to the newest registration only. Stop the other one, or use another device"
	if l.account.daemon == nil {
		if online {
			c.add(l, MarkWarn, "registration", foreign, "not tried: RingCentral shows the device as Online, and no daemon of this configuration runs: another program is registered with it")
		} else {
			c.add(l, MarkOK, "registration", "", "not tried: the device is %s, so free; `earshot run` registers it", d.Status)
		}
		return
	}
	registered := l.account.cfg.Registered()
	switch {
	case registered && online:
		c.add(l, MarkOK, "registration", "", "Online, and the daemon is registered")
	case registered:
		c.add(l, MarkWarn, "registration", "RingCentral may lag half a minute: ask again; if it stays, look at `registration` of the SIP side below",
			"the daemon is registered, and RingCentral shows the device as %s", d.Status)
	case online:
		c.add(l, MarkFail, "registration", foreign, "RingCentral shows the device as Online, and the daemon is not registered: another program is")
	default:
		c.add(l, MarkFail, "registration", "see `earshot status` for the registrar's words", "the daemon is not registered, and RingCentral shows the device as %s", d.Status)
	}
}

// sipInfo looks whether RingCentral gives the device's SIP account; what is in it is not shown.
func (c *checkup) sipInfo(ctx context.Context, l *checkedLogin, d Device) {
	mark := MarkFail
	if c.opts.AuthorizationID != "" || l.account.daemon != nil && l.account.cfg.Registered() {
		mark = MarkWarn // not needed now
	}
	info, err := l.account.SIPInfo(ctx, d.ID)
	if err != nil {
		c.refused(l, mark, "sip-info", "give the user the permission ReadCompanyDevices, or set sip.domain, username, password and authorization_id yourself", err)
		return
	}
	c.add(l, MarkOK, "sip-info", "", "there: domain %s, %s", info.Domain, plural(len(info.Proxies), "proxy region"))
}
