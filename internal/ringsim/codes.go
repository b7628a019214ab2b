package ringsim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
)

// vagueStatuses say no more than that a request was refused. 401, 408 and 429 have a meaning that is documented.
var vagueStatuses = []int{ //nolint:gochecknoglobals // constant
	http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone,
	http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusLocked, http.StatusFailedDependency,
}

// unheardOf are beginnings of codes, of which one was seen at least.
var unheardOf = []string{"TAS", "TAS", "TEL", "SPV"} //nolint:gochecknoglobals // constant

// codeSeen is the only TAS code that was seen; with which status is not known.
const codeSeen = "TAS-120"

// refuseTAS refuses with a code that is made up, but for codeSeen: RingCentral documents none of its TAS codes.
// Switches.RandomCodes replaces code and text, Switches.RandomStatus the status, so that no client can hang on them.
func (s *Sim) refuseTAS(status int, code, text string) *apiError {
	sw := &s.cfg.Switches
	if sw.RandomCodes == 0 {
		return refuse(status, code, "%s", text)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(code)) // never fails (hash.Hash)
	r := rand.New(rand.NewPCG(sw.RandomCodes, h.Sum64()))
	const first, many = 200, 800 // none of them is TAS-120
	if code != codeSeen {
		code, text = fmt.Sprintf("%s-%d", unheardOf[r.IntN(len(unheardOf))], first+r.IntN(many)), fmt.Sprintf("Request [%08x] cannot be performed", r.Uint32())
	}
	if sw.RandomStatus {
		status = vagueStatuses[r.IntN(len(vagueStatuses))]
	}
	return refuse(status, code, "%s", text)
}
