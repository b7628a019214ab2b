# demo needs Go and make only. test installs what it needs when root, or says how.
SHELL    := /bin/bash
GO       ?= go
DEMO_DIR ?= demo
FUZZ     ?= 10s
STORIES  ?= 10000
RACE     ?= ./call/... ./console/... ./examples/... ./internal/attr/... ./internal/secret/... ./media/... ./recorder/... ./sip/... ./stream/... ./supervise/...
ASR      := examples/transcribe

.PHONY: help demo demo-transcribe wer test check build bench fmt vet lint race fuzz docs clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: bin/earshot ## three calls against a RingCentral in this process; no account, nothing installed
	./bin/earshot demo --out $(DEMO_DIR)

demo-transcribe: bin/earshot $(ASR)/node_modules/.package-lock.json ## a call's words by party, while they are said; needs node and npm, fetches a speech engine (550 MB)
	$(ASR)/demo.sh $(DEMO_DIR)/transcribe

wer: $(ASR)/node_modules/.package-lock.json ## what lost packets cost a speech engine in words; needs flite, sox and pocketsphinx-testdata too
	$(GO) run ./$(ASR)/wer

# The scripts of these packages would fetch more: none is needed.
$(ASR)/node_modules/.package-lock.json: $(ASR)/package-lock.json
	cd $(ASR) && npm ci --ignore-scripts --no-audit --no-fund

test: ## all tests, with the programs of others; installs those when root
	scripts/peers.sh install
	$(GO) vet ./...
	$(GO) test -p 1 -shuffle=on -timeout 20m ./...

check: fmt vet lint race fuzz docs ## what a change must pass besides make test

build: bin/earshot ## the static binary

bench: ## benchmarks of the media path
	$(GO) test -run '^$$' -bench . -benchmem ./media/... ./recorder/... ./stream/...

.PHONY: bin/earshot
bin/earshot:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/earshot

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt -w" $$out; exit 1; fi

vet:
	$(GO) vet ./...
	GOARCH=386 $(GO) vet ./...

lint:
	@if command -v golangci-lint >/dev/null; then golangci-lint run ./...; else echo "golangci-lint is not installed: passed over"; fi

# Each story of media's property test is a sender and a network by chance: 10,000 take two cores some two minutes with -race.
race:
	EARSHOT_STORIES=$(STORIES) CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 15m $(RACE)

fuzz:
	scripts/fuzz.sh $(FUZZ)

docs: bin/earshot
	./bin/earshot config --markdown | diff - <(grep "^|" docs/configuration.md)

clean:
	rm -rf bin $(DEMO_DIR)
