# make test is the whole check: what .ci/run calls, and what a newcomer runs.
GO ?= go
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck
FUZZTIME ?= 1m

# The strong tier is tested where runsc is.
RUNSC = $(if $(wildcard bin/runsc),DONAPI_RUNSC=$(CURDIR)/bin/runsc)

CORPUS ?=
CLUSTERS ?=

.PHONY: build runsc test lint vuln fuzz bench bench-twenty bench-store eval train

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/donapi ./cmd/donapi

# gVisor's runsc, of the version that go.mod pins, for the strong tier of isolation. It takes two minutes.
runsc:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/runsc gvisor.dev/gvisor/runsc

test: lint
	$(RUNSC) $(GO) test ./...
	@$(MAKE) --no-print-directory vuln

lint:
	@test -z "$$(gofmt -l cmd internal knowledge)" || { gofmt -l cmd internal knowledge; echo "not gofmt-ed"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

# The vulnerability database is a service on the network: without it the check is skipped, and says so.
vuln:
	@out=$$($(GO) run golang.org/x/vuln/cmd/govulncheck ./... 2>&1); code=$$?; \
	if echo "$$out" | grep -qiE "fetching vulnerabilities|no such host|dial tcp|403|404|forbidden|not available|connection refused|proxyconnect"; then echo "govulncheck: SKIPPED, its database cannot be reached"; \
	else echo "$$out"; exit $$code; fi

fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# A store of ten million versions in SQLite, built into build/ once (about ten minutes and 13 GB), and how long questions to it take.
STORE_VERSIONS ?= 10000000
bench-store:
	@mkdir -p build
	DONAPI_LARGE_STORE=$(CURDIR)/build/store-$(STORE_VERSIONS).db DONAPI_LARGE_VERSIONS=$(STORE_VERSIONS) $(GO) test ./internal/store -run '^$$' -bench Large -timeout 2h

# Measures recall and false alarms on labelled packages: make eval CORPUS=folder [CLUSTERS=file.tsv]
eval:
	@test -n "$(CORPUS)" || { echo "make eval needs CORPUS=, a folder with malicious/ and benign/"; exit 2; }
	$(GO) run ./cmd/donapi eval $(CORPUS) $(if $(CLUSTERS),--clusters $(CLUSTERS)) --stages --cache=false

# Trains the obfuscation model from the ordinary packages of a corpus: make train CORPUS=folder
train:
	@test -n "$(CORPUS)" || { echo "make train needs CORPUS=, a folder with benign/"; exit 2; }
	@mkdir -p build
	$(GO) run ./cmd/donapi train obfuscation $(CORPUS) --out build/obfuscation.json

# CPU time and memory of twenty ordinary packages, fetched by name into build/twenty: the whole program, cold, with default budgets.
TWENTY = lodash express react-dom axios chalk typescript webpack esbuild eslint core-js moment vue jquery yargs ws uuid rxjs async commander debug
bench-twenty:
	@mkdir -p build/twenty
	@for p in $(TWENTY); do ls build/twenty/$$p-[0-9]*.tgz >/dev/null 2>&1 || (cd build/twenty && npm pack --silent --ignore-scripts $$p) || exit 1; done
	DONAPI_TWENTY=$(CURDIR)/build/twenty $(GO) test ./cmd/donapi -run '^$$' -bench Twenty -benchtime 1x
