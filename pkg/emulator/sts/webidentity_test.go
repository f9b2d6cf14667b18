package sts

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"ecsdeploy/pkg/emulator/awsapi"
)

func TestWebIdentityTakesNoExternalID(t *testing.T) {
	e := New(awsapi.NewServer(awsapi.Settings{}))
	if _, err := e.assumeRoleWithWebIdentity(httptest.NewRequest(http.MethodPost, "/", nil), url.Values{"ExternalId": {"x"}}); err == nil {
		t.Error("an external id is taken, which the operation does not have")
	}
}

func FuzzIDToken(f *testing.F) {
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := parseIDToken(text); err == nil && (token.Issuer == "" || token.Subject == "") {
			t.Errorf("%+v", token)
		}
	})
}
