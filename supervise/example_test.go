package supervise_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/earshot/earshot/supervise"
)

// The SIP account of the supervisor's device, from a server that stands for RingCentral.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /restapi/oauth/token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"access_token":"made-up","token_type":"bearer","expires_in":3600}`)
	})
	mux.HandleFunc("POST /restapi/oauth/revoke", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /restapi/v1.0/account/~/extension/~/device", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"records":[{"id":"802636634016","type":"OtherPhone","status":"Online"}]}`)
	})
	mux.HandleFunc("GET /restapi/v1.0/account/~/device/802636634016/sip-info", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"domain":"sip.ringcentral.com","userName":"12055550101","password":"made-up-pw","authorizationId":"802636634016"}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	s, err := supervise.New(supervise.Config{Server: server.URL, ClientID: "app", ClientSecret: "app-secret", JWT: "jwt", Agents: []string{"108"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	info, err := s.SIPInfo(context.Background(), 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.UserName, info.Domain, info.AuthorizationID, info.Password)
	// Output: 12055550101 sip.ringcentral.com 802636634016 ***
}
