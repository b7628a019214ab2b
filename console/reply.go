package console

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// statusOf is how an error of a Backend is answered.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNoCall):
		return http.StatusNotFound
	case errors.Is(err, ErrBadConfig):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrBadMask):
		return http.StatusBadRequest
	case errors.Is(err, ErrBadConsent):
		return http.StatusConflict
	case errors.Is(err, fs.ErrNotExist): // a recording
		return http.StatusGone
	}
	return http.StatusInternalServerError
}

// reply answers with what a Backend gave.
func (c *Control) reply(w http.ResponseWriter, done any, err error) {
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	c.line(w, done)
}

// line sends one line of JSON at once.
func (c *Control) line(w http.ResponseWriter, v any) bool { return sendLine(w, v, c.cfg.Log) }

func sendLine(w http.ResponseWriter, v any, log *slog.Logger) bool {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return false
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/json")
	err = control.SetWriteDeadline(time.Now().Add(answerTimeout))
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err == nil {
		err = control.Flush()
	}
	if err != nil {
		log.Debug("answer not sent", attr.Err(err))
	}
	return err == nil
}
