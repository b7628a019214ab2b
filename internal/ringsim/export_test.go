package ringsim

import (
	"encoding/json"
	"fmt"
	"time"
)

// Publish sends an event that no call made; its sequence is n.
func (s *Sim) Publish(extension, code, direction string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishLocked(&notice{
		topic: topicTelephony, extension: extension, code: code, direction: direction, uuid: fmt.Sprint(n), path: "/restapi/v1.0/test",
		body: json.RawMessage(fmt.Sprintf(`{"sequence":%d}`, n)),
	}, time.Now())
}
