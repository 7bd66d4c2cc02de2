package call

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// store is an S3-compatible object store, or bin/downstream in its place.
type store struct {
	client *http.Client
	bucket string  // its URL, without a slash at the end
	keys   *signer // nil: requests are not signed
}

// newStore takes the keys from the environment, as AWS's own programs do.
func newStore(bucket *url.URL) (*store, error) {
	if strings.Trim(bucket.Path, "/") == "" || bucket.RawQuery != "" {
		return nil, fmt.Errorf("upload %q: want a URL that ends with the bucket, such as http://127.0.0.1:9000/bucket", bucket)
	}
	s := &store{client: newClient(), bucket: strings.TrimRight(bucket.String(), "/")}
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id == "" && secret == "":
		return s, nil
	case id == "" || secret == "":
		return nil, errors.New("upload: one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set: want both, or none for requests without a signature")
	}
	s.keys = &signer{id: id, secret: secret, token: os.Getenv("AWS_SESSION_TOKEN"), region: os.Getenv("AWS_REGION")}
	if s.keys.region == "" {
		s.keys.region = "us-east-1"
	}
	return s, nil
}

// put uploads body under the key n. The keys begin anew with each process, so that runs overwrite one another's objects and
// don't fill a store.
func (s *store) put(n uint64, body []byte, deadline time.Time) error {
	var sign func(*http.Request)
	if s.keys != nil {
		sign = func(r *http.Request) { s.keys.sign(r, body, time.Now()) }
	}
	return exchangeHTTP(s.client, deadline, http.MethodPut, s.bucket+"/"+strconv.FormatUint(n, 10), body, sign)
}

// signer signs requests by AWS Signature Version 4 for the service s3.
// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)", Signature Calculations for the
// Authorization Header: Transferring Payload in a Single Chunk.
type signer struct{ id, secret, token, region string }

const (
	amzTime = "20060102T150405Z"
	amzDay  = "20060102"
)

// sign adds the headers of a signature over method, path, query, host, the headers set so far, and the body.
func (k *signer) sign(r *http.Request, body []byte, now time.Time) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	now = now.UTC()
	r.Header.Set("X-Amz-Date", now.Format(amzTime))
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if k.token != "" {
		r.Header.Set("X-Amz-Security-Token", k.token)
	}
	names := []string{"host"}
	values := map[string]string{"host": r.URL.Host}
	for name, v := range r.Header {
		name = strings.ToLower(name)
		names, values[name] = append(names, name), strings.TrimSpace(v[0])
	}
	slices.Sort(names)
	signed := strings.Join(names, ";")
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, r.URL.EscapedPath(), r.URL.Query().Encode())
	for _, name := range names {
		fmt.Fprintf(&canonical, "%s:%s\n", name, values[name])
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", signed, hash)
	scope := now.Format(amzDay) + "/" + k.region + "/s3/aws4_request"
	sum = sha256.Sum256([]byte(canonical.String()))
	text := "AWS4-HMAC-SHA256\n" + now.Format(amzTime) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + k.secret)
	for _, part := range []string{now.Format(amzDay), k.region, "s3", "aws4_request", text} {
		key = hmacSHA256(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%x", k.id, scope, signed, key))
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
