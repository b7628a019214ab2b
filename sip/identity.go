package sip

// maxIdentities bounds what is kept of each header of an Identity.
const maxIdentities = 8

// Identity is what an INVITE says besides its From about who calls, and for whom. Each entry is one header line as it came,
// cleaned and cut: nothing of it is proved, for SIP takes it from whoever sent it.
type Identity struct {
	// Asserted is P-Asserted-Identity (RFC 3325), or Remote-Party-ID where that is missing.
	Asserted []string
	// Diversion says whom the call was for before (RFC 5806); History is History-Info (RFC 7044).
	Diversion, History []string
}

func identity(m headerer) Identity {
	id := Identity{Asserted: lines(m, "P-Asserted-Identity"), Diversion: lines(m, "Diversion"), History: lines(m, "History-Info")}
	if id.Asserted == nil {
		id.Asserted = lines(m, "Remote-Party-ID")
	}
	return id
}

// lines gives the values of all headers of that name, up to maxIdentities.
func lines(m headerer, name string) (out []string) {
	for _, h := range m.GetHeaders(name) {
		if len(out) == maxIdentities {
			break
		}
		out = append(out, clean(h.Value(), maxText))
	}
	return out
}
