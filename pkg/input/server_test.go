package input_test

import (
	"testing"
)

func TestJobToken(t *testing.T) {
	const (
		parameter = "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN"
		document  = "ENDPOINT_AUTH_SYSTEMVSSCONNECTION"
	)
	for name, test := range map[string]struct {
		variables []string
		want      string
	}{
		"the endpoint's":             {[]string{parameter, "e", "SECRET_SYSTEM_ACCESSTOKEN", "s"}, "e"},
		"the endpoint's, as JSON":    {[]string{document, `{"parameters":{"AccessToken":"j"},"scheme":"OAuth"}`, "SYSTEM_ACCESSTOKEN", "p"}, "j"},
		"of the secret variable":     {[]string{document, `{`, "SECRET_SYSTEM_ACCESSTOKEN", "s"}, "s"},
		"handed to the step by name": {[]string{"SYSTEM_ACCESSTOKEN", "p"}, "p"},
		"none":                       {nil, ""},
	} {
		got, _ := load(t, append([]string{"command", "push"}, test.variables...)...)
		if got.Server.Token.Reveal() != test.want {
			t.Errorf("%s: %q, want %q", name, got.Server.Token.Reveal(), test.want)
		}
	}
}

func TestServer(t *testing.T) {
	got, _ := load(t, "command", "push",
		"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://server/tfs/Collection/", "SYSTEM_COLLECTIONURI", "https://other/", "SYSTEM_SERVERTYPE", "OnPremises")
	if got.Server.CollectionURL != "https://server/tfs/Collection/" || !got.Server.OnPremises() {
		t.Errorf("%+v", got.Server)
	}
	got, _ = load(t, "command", "push", "SYSTEM_COLLECTIONURI", "https://dev.azure.com/org/", "SYSTEM_SERVERTYPE", "Hosted")
	if got.Server.CollectionURL != "https://dev.azure.com/org/" || got.Server.OnPremises() {
		t.Errorf("%+v", got.Server)
	}
}
