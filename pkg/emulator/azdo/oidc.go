package azdo

// OIDC tokens of jobs: signed for real, with the discovery document and the key that AWS asks the issuer for.

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// TokenLife is how long a token is good.
const TokenLife = 5 * time.Minute

const keyID = "emulator-1"

// Subject is that of a token of a service connection, or with an empty id of the pipeline's own.
func (s *Server) Subject(connectionID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subject(connectionID)
}

func (s *Server) subject(connectionID string) string {
	organization := s.o.URL[strings.LastIndexByte(s.o.URL, '/')+1:]
	if connectionID == "" {
		return fmt.Sprintf("p://%s/%s/%s", organization, s.o.Project, s.o.Pipeline)
	}
	return fmt.Sprintf("sc://%s/%s/%s", organization, s.o.Project, s.connections[strings.ToLower(connectionID)])
}

func (s *Server) oidcToken(r request) (any, error) {
	if r.route["planId"] != PlanID || r.route["jobId"] != JobID {
		return nil, refuse(http.StatusNotFound, "TaskOrchestrationPlanNotFoundException", "No plan found for identifier %s.", r.route["planId"])
	}
	if hub := r.route["hubName"]; hub != "build" && hub != "release" && hub != "rm" {
		return nil, refuse(http.StatusNotFound, "TaskHubNotFoundException", "Task hub %s could not be found.", hub)
	}
	var claims map[string]string
	if len(r.body) > 0 {
		if err := decode(r.body, &claims); err != nil {
			return nil, err
		}
	}
	id := r.query.Get("serviceConnectionId")
	if r.query.Has("serviceConnectionId") && s.connections[strings.ToLower(id)] == "" {
		text := fmt.Sprintf(`{"count":1,"value":"There is no explicit reference to service connection %s from current stage Deploy.Deploy.__default."}`, id)
		return nil, &apiError{http.StatusBadRequest, "raw:" + text, "no reference"}
	}
	return map[string]string{"oidcToken": s.sign(s.o.Issuer, s.subject(id), Audience, time.Now().Add(TokenLife))}, nil
}

// sign makes a JSON Web Token.
func (s *Server) sign(issuer, subject, audience string, expires time.Time) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of texts and numbers
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now().Unix()
	signed := part(map[string]string{"typ": "JWT", "alg": "RS256", "kid": keyID}) + "." +
		part(map[string]any{"iss": issuer, "sub": subject, "aud": audience, "nbf": now, "iat": now, "exp": expires.Unix(), "jti": rand.Text()})
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, s.key(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key is large enough
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// wellKnown answers what AWS asks the issuer.
func (s *Server) wellKnown(path string) ([]byte, error) {
	switch path {
	case ".well-known/openid-configuration":
		return json.Marshal(map[string]any{
			"issuer": s.o.Issuer, "jwks_uri": s.o.Issuer + "/.well-known/jwks",
			"subject_types_supported": []string{"public", "pairwise"}, "response_types_supported": []string{"id_token"},
			"claims_supported": []string{"sub", "aud", "exp", "iat", "iss", "nbf"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			"scopes_supported": []string{"openid"},
		})
	case ".well-known/jwks":
		return json.Marshal(map[string]any{"keys": []map[string]any{{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
			"n": base64.RawURLEncoding.EncodeToString(s.key().N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.key().E)).Bytes()),
		}}})
	}
	return nil, errors.New("not found")
}
