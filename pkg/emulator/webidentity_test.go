package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// issuer is an identity provider with one key.
type issuer struct {
	url string
	key *rsa.PrivateKey
}

func (i issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	switch r.URL.String() {
	case i.url + "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"})
	case i.url + "/keys":
		json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{"kty": "RSA", "kid": "k",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes())}}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

// token signs claims; header and claims are JSON.
func (i issuer) token(t *testing.T, header, claims string) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := issuer{"https://id.example.com/x", key}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.AddOIDCProvider(OIDCProvider{Issuer: i.url, ClientIDs: []string{"aud"}, Transport: i})
	const role = "arn:aws:iam::123456789012:role/ci/deploy"
	if err := e.TrustRole(role, `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/id.example.com/x"}, "Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringEquals": {"id.example.com/x:aud": "aud"}, "StringLike": {"id.example.com/x:sub": ["sc://org/*"]}}},
		{"Effect": "Deny", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/id.example.com/x"}, "Action": ["sts:*"],
			"Condition": {"StringEquals": {"id.example.com/x:sub": "sc://org/p/forbidden"}}}]}`); err != nil {
		t.Fatal(err)
	}
	const header = `{"alg":"RS256","kid":"k"}`
	claims := func(sub, aud string, expires time.Duration) string {
		b, _ := json.Marshal(map[string]any{"iss": i.url, "sub": sub, "aud": aud, "exp": time.Now().Add(expires).Unix()})
		return string(b)
	}
	good := i.token(t, header, claims("sc://org/p/c", "aud", time.Minute))
	for _, tt := range []struct {
		name, role, token string
		code, says        string
	}{
		{"good", role, good, "", ""},
		{"no JWT", role, "access-token", "InvalidIdentityToken", "not a valid JWT"},
		{"not signed", role, i.token(t, `{"alg":"none","kid":"k"}`, claims("sc://org/p/c", "aud", time.Minute)), "InvalidIdentityToken", "not a valid JWT"},
		{"another issuer", role, i.token(t, header, `{"iss":"https://else","sub":"s","aud":"aud","exp":9999999999}`), "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://else"},
		{"another key", role, issuer{i.url, other}.token(t, header, claims("sc://org/p/c", "aud", time.Minute)), "InvalidIdentityToken", "verification key"},
		{"an unknown key", role, i.token(t, `{"alg":"RS256","kid":"z"}`, claims("sc://org/p/c", "aud", time.Minute)), "InvalidIdentityToken", "verification key"},
		{"expired", role, i.token(t, header, claims("sc://org/p/c", "aud", -time.Second)), "ExpiredTokenException", "must be before the expiration"},
		{"another audience", role, i.token(t, header, claims("sc://org/p/c", "else", time.Minute)), "InvalidIdentityToken", "Incorrect token audience"},
		{"another subject", role, i.token(t, header, claims("sc://else/p/c", "aud", time.Minute)), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"a denied subject", role, i.token(t, header, claims("sc://org/p/forbidden", "aud", time.Minute)), "AccessDenied", "Not authorized"},
		{"another role", "arn:aws:iam::123456789012:role/else", good, "AccessDenied", "Not authorized"},
		{"another account", "arn:aws:iam::210987654321:role/ci/deploy", good, "InvalidIdentityToken", "No OpenIDConnect provider"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := sts.New(sts.Options{Region: "eu-west-1", HTTPClient: &http.Client{Transport: e.Transport()}, RetryMaxAttempts: 1})
			out, err := client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
				RoleArn: &tt.role, RoleSessionName: aws.String("s1"), WebIdentityToken: &tt.token, DurationSeconds: aws.Int32(900),
			})
			if tt.code == "" {
				if err != nil || aws.ToString(out.SubjectFromWebIdentityToken) != "sc://org/p/c" || time.Until(*out.Credentials.Expiration) > 15*time.Minute {
					t.Errorf("%+v, %v", out, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.code) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %s: %s", err, tt.code, tt.says)
			}
		})
	}
	for _, bad := range []string{"", "{}", `{"Version":"2012-10-17","Statement":[{"Effect":"allow"}]}`, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"x","Condition":{"Bool":{}}}]}`,
		`{"Version":"2012-10-17","Statment":[]}`} {
		if err := e.TrustRole(role, bad); err == nil {
			t.Errorf("%s is taken for a trust policy", bad)
		}
	}
}
