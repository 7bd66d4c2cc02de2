package request

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/clients"
)

func TestTemplate(t *testing.T) {
	check := func(text string, n int64, want string) {
		t.Helper()
		tm := ParseTemplate([]byte(text))
		if got := string(tm.Append([]byte("x"), n)); got != "x"+want || tm.Len(n) != len(want) {
			t.Errorf("%q of %d: %q, length %d; want %q", text, n, got[1:], tm.Len(n), want)
		}
	}
	check("", 5, "")
	check("/", 5, "/")
	check("{n}", 0, "0")
	check("/item/{n}", 9, "/item/9")
	check("/item/{n}", 10, "/item/10")
	check("{n}{n}-{n}", 123, "123123-123")
	check(`{"id":{n},"m":{"n":1}}`, 7, `{"id":7,"m":{"n":1}}`)
	check(`{"id":{n}}`, 7, `{"id":7}`)
	check("{{n}}", 7, "{n}")
	check("{{{n}}}", 7, "{{n}}")
	check("{ n} {N} {n {", 7, "{ n} {N} {n {")
	check("\xff\xfe{n}", 7, "\xff\xfe{n}") // not text
	check("{n}", 1<<62, "4611686018427387904")
}

// The slow truth: regular replacement by way of a character that is not in the text.
func TestTemplateIsReplacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"{n}", "{{n}}", "{", "}", "n", "a", "é"})).Draw(t, "text"), "")
		n := rapid.Int64Range(0, 1<<62).Draw(t, "n")
		want := strings.ReplaceAll(text, "{{n}}", "\x00")
		want = strings.ReplaceAll(want, "{n}", strconv.FormatInt(n, 10))
		want = strings.ReplaceAll(want, "\x00", "{n}")
		tm := ParseTemplate([]byte(text))
		if got := string(tm.Append(nil, n)); got != want || tm.Len(n) != len(want) {
			t.Fatalf("%q: %q of length %d, want %q", text, got, tm.Len(n), want)
		}
		var joined Template
		joined.Join(tm)
		joined.Text("{n}")
		joined.Join(tm)
		if got := string(joined.Append(nil, n)); got != want+"{n}"+want || joined.Len(n) != len(got) {
			t.Fatalf("%q joined: %q", text, got)
		}
	})
}

func TestOf(t *testing.T) {
	check := func(p clients.Plan, want string) {
		t.Helper()
		got, err := Of(&p)
		text := fmt.Sprint(err)
		if err == nil {
			text = ""
			for _, r := range got {
				text += fmt.Sprintf("%s %s %s %s %s", r.Scheme, r.Address, r.Host, r.Method, r.Path.Append(nil, 42))
				for _, h := range r.Headers {
					text += fmt.Sprintf(" [%s|%s]", h.Name, h.Value.Append(nil, 42))
				}
				text += fmt.Sprintf(" %v %q; ", r.HasBody, r.Body.Append(nil, 42))
			}
		}
		if !strings.Contains(text, want) {
			t.Errorf("%+v:\n got %s\nwant %s", p, text, want)
		}
	}
	one := func(url string) clients.Plan { return clients.Plan{URL: url} }
	check(one("http://h:1/a?b=c"), `http h:1 h:1 GET /a?b=c false ""`)
	check(one("http://h"), `http h:80 h GET / false ""`)
	check(one("https://h/x#frag"), `https h:443 h GET /x false`)
	check(one("http://[::1]:8080/"), `http [::1]:8080 [::1]:8080 GET /`)
	check(one("http://[fe80::1%25eth0]:8080/"), `http [fe80::1%eth0]:8080 [fe80::1]:8080 GET /`)
	check(one("http://[fe80::1%25eth0]/"), `http [fe80::1%eth0]:80 [fe80::1] GET /`)
	check(one("frame://h:9"), `frame h:9 h:9   false ""`)
	check(one("http://h/item/{n}/x%2Fy?q={n}&r={{n}}"), `GET /item/42/x%2Fy?q=42&r={n} false`)
	check(clients.Plan{URL: "http://h/", Body: []byte("{n}"), Headers: []string{"X-Id: {n} ", "host:other"}}, `POST / [X-Id|42] [host|other] true "42"`)
	check(clients.Plan{URL: "http://h/", Method: "PUT", Body: []byte{}}, `PUT / true ""`)
	check(clients.Plan{URL: "http://unused/", Requests: []clients.Request{{URL: "http://a/1"}, {URL: "http://b/2", Method: "HEAD"}}}, `http a:80 a GET /1 false ""; http b:80 b HEAD /2 false ""; `)

	check(one("ftp://h/"), "want http://host:port/path")
	check(one("http:///x"), "want http://host:port/path")
	check(one("http://:80/x"), "want http://host:port/path")
	check(one("http://u:p@h/"), "want a header, such as 'Authorization")
	check(one("http://h{n}/"), "want {n} in the path or the query only")
	check(one("http://h:{n}/"), "reading URL")
	check(one("push://h:9"), `push h:9 h:9   false ""`)
	check(one("push://h:9/prices/eur"), `push h:9 h:9   false ""`)
	check(one("frame://h"), "frame has no default port")
	check(one("push://h"), "push has no default port")
	check(one("push://h:1/a b"), "want up to 255 printable characters")
	check(one("push://h:1/?a=b"), "a subscriber sends no request")
	check(clients.Plan{URL: "push://h:1", Body: []byte("x")}, "a subscriber sends no request")
	check(one("frame://h:1/x"), "want a body only")
	check(clients.Plan{URL: "frame://h:1", Method: "POST"}, "want a body only")
	check(clients.Plan{URL: "frame://h:1", Headers: []string{"A: b"}}, "want a body only")
	check(clients.Plan{URL: "http://h/", Method: "GE T"}, "want a word such as GET")
	check(clients.Plan{URL: "http://h/", Method: "GET\r\n"}, "want a word such as GET")
	check(clients.Plan{URL: "http://h/", Method: "CONNECT"}, "want a word such as GET")
	check(clients.Plan{URL: "http://h/", Headers: []string{"A: b\r\nC: d"}}, "want no line breaks")
	check(clients.Plan{URL: "http://h/", Headers: []string{"A b"}}, `want "Name: value"`)
	check(clients.Plan{URL: "http://h/", Headers: []string{"A b: c"}}, `want "Name: value"`)
	check(clients.Plan{URL: "http://h/", Headers: []string{": c"}}, `want "Name: value"`)
	check(clients.Plan{URL: "http://h/", Headers: []string{"content-length: 3"}}, "follows from the body")
	check(clients.Plan{URL: "http://h/", Headers: []string{"Host: h{n}"}}, "want a host without a counter")
	check(clients.Plan{URL: "http://h/" + strings.Repeat("x", 20_000)}, "want at most 16384")
	check(clients.Plan{URL: "http://h/", Body: make([]byte, 2<<20)}, "want at most 1048568")
	check(clients.Plan{Requests: []clients.Request{{URL: "http://a/1"}, {URL: "frame://b:2"}}}, "want one scheme for all")
	check(clients.Plan{Requests: make([]clients.Request, MaxRequests+1)}, "want at most 10000")
}

func TestParseFile(t *testing.T) {
	bodies := func(name string) ([]byte, error) {
		if name != "dir/body.json" {
			return nil, errors.New("no such file")
		}
		return []byte("{}"), nil
	}
	common := clients.Request{Method: "PUT", Headers: []string{"X-All: 1"}, Body: []byte("b")}
	got, err := ParseFile([]byte("# first\nGET http://a/1\nAccept: x\n# within\nX-Two:2\n\n\nhttp://a/2\nPOST\thttp://b/3 \r\nA: b\r\n@ dir/body.json\r\n\nframe://c:1"), common, bodies)
	want := []clients.Request{
		{URL: "http://a/1", Method: "GET", Headers: []string{"X-All: 1", "Accept: x", "X-Two:2"}, Body: []byte("b")},
		{URL: "http://a/2", Method: "PUT", Headers: []string{"X-All: 1"}, Body: []byte("b")},
		{URL: "http://b/3", Method: "POST", Headers: []string{"X-All: 1", "A: b"}, Body: []byte("{}")},
		{URL: "frame://c:1", Method: "PUT", Headers: []string{"X-All: 1"}, Body: []byte("b")},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	check := func(text, want string) {
		t.Helper()
		if _, err := ParseFile([]byte(text), clients.Request{}, bodies); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	check("", "0 lines without a target: want METHOD URL")
	check("# x\n\n", "2 lines without a target")
	check("Accept: x\n", "line 1: \"Accept: x\": want METHOD URL")
	check("GET http://a/\n\nAccept: x\n", "line 3")
	check("GET /path\n", "line 1: \"GET /path\": want METHOD URL")
	check("GET http://a/ HTTP/1.1\n", "line 1")
	check("GET http://a/\n@none\n", "line 2: reading body: no such file")
	check("GET http://a/\n@dir/body.json\nA: b\n", "line 3")
	check(strings.Repeat("http://a/\n", MaxRequests+1), fmt.Sprintf("line %d: more than %d targets", MaxRequests+1, MaxRequests))
}

func FuzzParseFile(f *testing.F) {
	f.Add("GET http://a/1\nAccept: x\n\nhttp://a/{n}\n@b\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseFile([]byte(text), clients.Request{}, func(string) ([]byte, error) { return []byte("b"), nil })
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%d targets, %v", len(got), err)
		}
		if rs, err := Of(&clients.Plan{Requests: got}); err == nil {
			for i := range rs {
				if head := string(rs[i].Path.Append(nil, 1)); strings.ContainsAny(head, " \r\n") {
					t.Fatalf("path %q", head)
				}
			}
		}
	})
}

func TestParseSources(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		got, err := ParseSources(text)
		if s := strings.Join(got, " "); err != nil || s != want {
			t.Errorf("%s: %s, %v; want %s", text, s, err, want)
		}
	}
	check("", "")
	check("127.0.0.2", "127.0.0.2")
	check("127.0.0.2, ::1 127.0.0.2", "127.0.0.2 ::1")
	check("127.0.0.254-127.0.1.1", "127.0.0.254 127.0.0.255 127.0.1.0 127.0.1.1")
	check("127.0.0.9-127.0.0.9", "127.0.0.9")
	check("127.0.1.0/30", "127.0.1.1 127.0.1.2")
	check("127.0.1.7/31", "127.0.1.6 127.0.1.7")
	check("127.0.1.7/32", "127.0.1.7")
	check("fd00::/127", "fd00:: fd00::1")
	check("fe80::1%lo-fe80::2%lo", "fe80::1%lo fe80::2%lo")
	check("::ffff:127.0.0.1", "127.0.0.1")
	if got, err := ParseSources("127.1.0.0/20"); err != nil || len(got) != 4094 {
		t.Errorf("%d, %v", len(got), err)
	}
	if got, err := ParseSources("255.255.255.255"); err != nil || !slices.Equal(got, []string{"255.255.255.255"}) {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"localhost": "want addresses such as", "127.0.0.1-": "want addresses such as", "127.0.0.1/33": "want addresses such as",
		"127.0.0.5-127.0.0.2": "ends before it begins", "127.0.0.1-::1": "both ends of one family",
		"10.0.0.0/8": "more than 10000 addresses", "fd00::/64": "more than 10000", "10.0.0.0/16": "more than 10000", "10.0.0.0-10.255.0.0": "more than 10000",
	} {
		if _, err := ParseSources(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// In turn or spread, every request has its share, and the same number always gives the same one.
func TestEveryRequestHasItsShare(t *testing.T) {
	for _, count := range []int{1, 2, 3, 7, 10} {
		for stride := int64(1); stride <= 10; stride++ { // as shards see the numbers
			const each = 2000
			turns, spread := make([]int, count), make([]int, count)
			for i := range int64(each * count) {
				turns[Turn(i, count)]++
				spread[Spread(i*stride, count)]++
			}
			for i := range count {
				if turns[i] != each || spread[i] < each*8/10 || spread[i] > each*12/10 {
					t.Errorf("%d requests, numbers %d apart: %d in turn, %d spread; want %d", count, stride, turns[i], spread[i], each)
				}
			}
		}
	}
}
