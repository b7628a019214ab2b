package supervise

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// devicesOf looks at the devices that the login's calls come to: whose they are, of which type, and who is registered with
// them.
func (c *checkup) devicesOf(ctx context.Context, l *checkedLogin) {
	devices, _, err := l.account.Devices(ctx)
	if err != nil {
		c.refused(l, MarkFail, "device", "give the user the permission ReadUserDevices", err)
		return
	}
	for _, want := range l.account.login.Devices {
		if c.opts.DeviceID != "" {
			want.ID = c.opts.DeviceID
		}
		d, err := chooseDevice(devices, want.ID)
		switch {
		case err == nil:
			c.device(ctx, l, d, want)
		case want.ID != "":
			c.foreignDevice(ctx, l, want.ID, err)
		default:
			c.add(l, MarkFail, "device", deviceCure(devices), "%s", err)
		}
	}
}

// device looks at one of them.
func (c *checkup) device(ctx context.Context, l *checkedLogin, d Device, want LoginDevice) {
	l.devices = append(l.devices, d)
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
	registered := l.account.daemon != nil && want.Registered()
	c.online(l, d, registered)
	c.sipInfo(ctx, l, d, registered)
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
func (c *checkup) online(l *checkedLogin, d Device, registered bool) {
	online := strings.EqualFold(d.Status, "Online")
	const foreign = "one program a device: RingCentral sends a call to the newest registration only. Stop the other one, or use another device"
	if l.account.daemon == nil {
		if online {
			c.add(l, MarkWarn, "registration", foreign, "not tried: RingCentral shows device %s as Online, and no daemon of this configuration runs: another program is registered with it, or an earshot that was killed was, some minutes ago", d.ID)
		} else {
			c.add(l, MarkOK, "registration", "", "not tried: device %s is %s, so free; `earshot run` registers it", d.ID, d.Status)
		}
		return
	}
	switch {
	case registered && online:
		c.add(l, MarkOK, "registration", "", "device %s is Online, and the daemon registered", d.ID)
	case registered:
		c.add(l, MarkWarn, "registration", "RingCentral may lag half a minute: ask again; if it stays, look at `registration` of the SIP side below",
			"the daemon is registered, and RingCentral shows device %s as %s", d.ID, d.Status)
	case online:
		c.add(l, MarkFail, "registration", foreign, "RingCentral shows device %s as Online, and the daemon is not registered: another program is", d.ID)
	default:
		c.add(l, MarkFail, "registration", "see `earshot status` for the registrar's words", "the daemon is not registered, and RingCentral shows device %s as %s", d.ID, d.Status)
	}
}

// sipInfo looks whether RingCentral gives the device's SIP account; what is in it is not shown.
func (c *checkup) sipInfo(ctx context.Context, l *checkedLogin, d Device, registered bool) {
	mark := MarkFail
	if c.opts.AuthorizationID != "" || registered {
		mark = MarkWarn // not needed now
	}
	info, err := l.account.SIPInfo(ctx, d.ID)
	if err != nil {
		c.refused(l, mark, "sip-info", "give the user the permission ReadCompanyDevices, or set sip.domain, username, password and authorization_id yourself", err)
		return
	}
	c.add(l, MarkOK, "sip-info", "", "there for %s: domain %s, %s", d.ID, info.Domain, plural(len(info.Proxies), "proxy region"))
}
