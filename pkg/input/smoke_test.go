package input

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseSmokeTest(t *testing.T) {
	for text, want := range map[string]SmokeTest{
		"/health": {URL: "/health", Retries: 5},
		"https://u:p@test.example/health?token=abcd status=200-399 retries=0": {URL: "https://u:p@test.example/health?token=abcd", Status: [2]int{200, 399}},
		"/version body=build 17 status=1":                                     {URL: "/version", Body: "build 17 status=1", Retries: 5},
		"/a\tretries=2 status=401":                                            {URL: "/a", Status: [2]int{401, 401}, Retries: 2},
		`["npm", "run", "smoke"]`:                                             {Command: []string{"npm", "run", "smoke"}},
	} {
		if got, err := parseSmokeTest(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"health":                                "expected a URL of http or https, or a path",
		"//host/health":                         "expected a URL of http or https, or a path",
		"ftp://host/":                           "expected a URL of http or https, or a path",
		"https:///health":                       "expected a URL of http or https, or a path",
		"https://user:secret@host/%zz?token=ab": "the URL cannot be read",
		"/health#top":                           "fragment",
		"http://169.254.169.254/latest":         "never asked",
		"/health status=abc":                    "not a status",
		"/health status=300-200":                "not a range",
		"/health retries=-1":                    "not a number of retries",
		"/health retries=":                      "not a number of retries",
		"/health expect=200":                    "none of status=, retries= and body=",
		"/health body=":                         "body= has no value",
		"body=ok":                               "expected a URL",
		"[]":                                    "not empty",
		"[1]":                                   "JSON array",
	} {
		_, err := parseSmokeTest(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestSmokeTestSecrets: what is probably secret in a URL is masked before anything
// is printed.
func TestSmokeTestSecrets(t *testing.T) {
	got := Secrets([]string{"INPUT_SMOKETEST=https://u:pass%2Fword@h/?api_key=k3y%20val&page=1234\n/x?sig=abcdef body=token=1234567", "INPUT_TAGS=/x?token=abcdef"})
	if want := []string{"abcdef", "k3y val", "k3y%20val", "pass%2Fword", "pass/word"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestSmokeTestContradictions: what the other inputs must not say beside it.
func TestSmokeTestContradictions(t *testing.T) {
	for inputs, want := range map[string]string{
		"command=rollout repository=app services=c/a wait=false":                        "cannot be tested",
		"command=rollout repository=app services=c/a waitUntil=SCALE_UP":                "before there is test traffic",
		"command=rollout repository=app services=c/a waitUntil=POST_TEST_TRAFFIC_SHIFT": "",
		"command=rollout repository=app services=c/a waitUntil=traffic":                 "",
		"command=rollout repository=app services=c/a":                                   "",
		"command=rollout image=1.example/a:1 taskDefinition=web":                        "no service",
		"command=resume services=c/a action=rollback":                                   "whatever the test finds",
		"command=resume services=c/a":                                                   "",
	} {
		environ := map[string]string{"INPUT_SMOKETEST": "/health", "INPUT_TAGS": "17"}
		for _, pair := range strings.Fields(inputs) {
			name, value, _ := strings.Cut(pair, "=")
			environ["INPUT_"+strings.ToUpper(name)] = value
		}
		_, err := Load(t.Context(), environ)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", inputs, err, want)
		}
	}
}

// FuzzSmokeTest: no line is read as something that it is not.
func FuzzSmokeTest(f *testing.F) {
	for _, s := range []string{"/health status=200 body=ok", `["a"]`, "https://u:p@h/?q=1", "//", "/ body=", "http://[::1]:80/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseSmokeTest(text)
		if err != nil {
			return
		}
		if (got.Command == nil) == (got.URL == "") || got.Retries < 0 || got.Status[1] < got.Status[0] || !strings.Contains(text, got.Body) {
			t.Fatalf("%q: %+v", text, got)
		}
	})
}
