package judge

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// A server that handles more than the client counted, because somebody else asked it too, makes the trial INVALID.
func TestAStrangerSpoilsTheAccounts(t *testing.T) {
	const body = "hello"
	account := func(stranger func(url string)) validity.Verdict {
		t.Helper()
		server, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		engine, err := reactor.New(&clients.Plan{
			URL: server.URL() + "/", Engine: "epoll", CheckBody: []byte(body), Agents: 1, StartWhenOpen: true,
			Scenario: scenarios.Scenario{
				Name: "accounts", Why: "a test", Protocol: "http1", Connections: scenarios.Connections{Count: 5}, Timeout: scenarios.Duration(time.Second),
				Phases: []scenarios.Phase{{Name: "load", Load: "steady", For: scenarios.Duration(300 * time.Millisecond), Measure: true, Arrivals: scenarios.Arrivals{Constant: 500}}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		load, err := engine.Run(context.Background(), procfs.Monotonic())
		if err != nil {
			t.Fatal(err)
		}
		stranger(server.URL())
		handled, accepted := server.Handled.Load(), server.Accepted.Load()
		bytes := handled * int64(len(body))
		done := sut.Done{Final: results.Reading{Handled: &handled, Accepted: &accepted, BodyBytesOut: &bytes}}
		var accounts []validity.Check
		for _, c := range Trial(Evidence{Load: load, Done: done, Payload: len(body), Cores: 1}) {
			switch c.Name {
			case "two-sided requests", "two-sided connections", "two-sided bytes":
				accounts = append(accounts, c)
			}
		}
		verdict, reasons := validity.Judge(accounts)
		t.Log(verdict, reasons)
		return verdict
	}
	if v := account(func(string) {}); v != validity.Valid {
		t.Errorf("%s without a stranger", v)
	}
	if v := account(func(url string) {
		reply, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}); v != validity.Invalid {
		t.Errorf("%s with a stranger's request", v)
	}
}
