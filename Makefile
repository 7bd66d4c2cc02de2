# Each recipe is one line; longer logic is a subcommand of bin/millrace.

SERVERS_BUILT = goroutine gnet netpoll nbio evio rawepoll workers fasthttp nethttp echo gin
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo +)
BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-X main.commit=$(COMMIT)'

SCENARIO ?= burst
# A quick run must be quick: one round.
QUICKLY = $(filter-out 0 no false,$(QUICK))
ROUNDS ?= $(if $(QUICKLY),1,3)
FUZZTIME ?= 30s
FUZZED = ./internal/wire:FuzzParseRequest ./internal/wire:FuzzReply ./internal/wire:FuzzFrame ./internal/wire:FuzzPush ./internal/wire:FuzzWS ./internal/hist:FuzzReadLog \
	./scenarios:FuzzDecode ./scenarios:FuzzParseTrace ./clients/request:FuzzParseFile ./analysis/expect:FuzzParse ./servers/kit/websocket:FuzzHeader
comma := ,

.PHONY: help build bench compare explain claims aa bench-ruler conform crosscheck fairness selfcheck test check lint fmt fuzz bench-go clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/millrace, bin/millrace-member, bin/downstream and bin/servers/*
	@$(BUILD) -o bin/ ./cmd/millrace ./cmd/millrace-member ./servers/downstream && $(BUILD) -o bin/servers/ $(addprefix ./servers/,$(SERVERS_BUILT))

bench: build ## run a scenario: SCENARIO=burst|idle|churn|steady SERVERS=gnet,goroutine ROUNDS=3 QUICK=1 SET="connections.count=2000 …"
	@bin/millrace run $(SCENARIO) --rounds $(or $(ROUNDS),3) $(if $(SERVERS),--servers '$(SERVERS)') $(if $(QUICKLY),--quick) $(foreach s,$(SET),--set '$(s)')

compare: build ## what became of the variants from one run to another: BASE=RUN HEAD=RUN
	@bin/millrace compare $(BASE) $(HEAD)

explain: build ## how two variants of a run differ: RUN=RUN A=gnet B=goroutine
	@bin/millrace explain $(RUN) $(A) $(B)

claims: build ## the claims of docs/CLAIMS.md, which goes on where it was interrupted: QUICK=1 CLAIMS="A5 A6" ROUNDS=10 BUDGET=2h
	@bin/millrace claims $(or $(CLAIMS),--resume $(if $(QUICKLY),,--write docs/CLAIMS.md)) $(if $(QUICKLY),--quick) $(if $(filter-out file,$(origin ROUNDS)),--rounds $(ROUNDS)) $(if $(BUDGET),--budget $(BUDGET))

aa: build ## a server against itself: the size of the noise: SCENARIO=steady SERVERS=goroutine ROUNDS=24 INJECT=8% QUICK=1
	@bin/millrace aa $(if $(filter-out file,$(origin SCENARIO)),$(SCENARIO)) $(if $(SERVERS),--server '$(SERVERS)') $(if $(filter-out file,$(origin ROUNDS)),--rounds $(ROUNDS)) $(if $(INJECT),--inject '$(INJECT)') $(if $(QUICKLY),--quick) $(foreach s,$(SET),--set '$(s)')

# ONLY=NAME runs one part, QUICK=1 a short look; neither writes into docs/.
RULER = $(BUILD) -o bin/ruler ./cmd/ruler && bin/ruler
RULER_FLAGS = $(if $(ONLY),--only '$(ONLY)') $(if $(PAIRS),--pairs $(PAIRS)) $(if $(QUICKLY),--quick)

bench-ruler: build ## the load client against its goals, into docs/RULER.md: ONLY=lag PAIRS=5 QUICK=1
	@$(RULER) bench $(RULER_FLAGS)

crosscheck: build ## the load client against wrk, ab, h2load and vegeta, into docs/METHOD.md: ONLY=nginx-rate PAIRS=5 QUICK=1
	@$(RULER) crosscheck $(RULER_FLAGS)

conform: ## every variant of every server in every protocol it speaks, some ten minutes
	@MILLRACE_CONFORM_ALL=1 go test -count=1 -timeout 60m -run TestServers ./servers/conform

fairness: build ## the models beside the example servers of their frameworks, into docs/FAIRNESS.md: ONLY=gnet PAIRS=8 QUICK=1
	@$(BUILD) -o bin/examples/ ./servers/examples/... && $(RULER) fairness $(RULER_FLAGS)

selfcheck: build ## hold the load client against known answers on this host: ENGINE=epoll,vegeta QUICK=1
	@bin/millrace selfcheck $(if $(ENGINE),--engine '$(ENGINE)') $(if $(QUICKLY),--quick)

test: ## all tests, one package after another, since some measure
	@go test -p 1 ./...

check: lint ## everything a change must pass: format, vet, staticcheck, tests with -race, tidy test
	@go test -race -p 1 ./...

lint: ## format, vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go tool staticcheck ./...

fmt: ## format the code
	@gofmt -w .

fuzz: ## fuzz everything that reads foreign bytes, FUZZTIME=30s each
	@for t in $(FUZZED); do go test -run '^$$' -fuzz "^$${t#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$${t%:*}" || exit 1; done

bench-go: ## Go benchmarks of the engine, the histograms and the sampler
	@go test -run '^$$' -bench . -benchmem ./...

clean: ## remove what was built, not what was measured
	@rm -rf bin
