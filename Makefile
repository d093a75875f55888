# What people and CI run. The work is done by scripts/; 'make' alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X github.com/MUCZ/Starfish/daemon.Version=$(VERSION) -X github.com/MUCZ/Starfish/client.Version=$(VERSION)

PREFIX ?= /usr/local
DESTDIR ?=

TOOLS := bin/tools
FUZZTIME ?= 3s

export GO

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/starfishd and bin/starfishctl
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: ## See it work: installs what it needs, runs by itself, leaves nothing behind
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory build
	@scripts/enter.sh scripts/demo.sh

.PHONY: test
test: $(TOOLS)/gotestsum ## Run every test, those on a real TUN device included; installs what it needs
	@scripts/deps.sh test
	@scripts/test.sh

.PHONY: check
check: ## All of CI: test, format, lint, API, architecture, race, fuzz smoke
	@scripts/deps.sh check
	@$(MAKE) --no-print-directory tools
	@scripts/check.sh

.PHONY: bench
bench: ## Run all benchmarks; a table on stdout, the figures in bench.json
	@scripts/deps.sh test
	@scripts/bench.sh $(BENCHFLAGS)

.PHONY: goodput
goodput: ## Measure goodput beside the kernel's TCP over bad paths; figures in goodput.json (GOODPUTFLAGS="-rows lost -runs 1")
	@scripts/deps.sh test
	$(GO) run ./bench goodput $(GOODPUTFLAGS)

.PHONY: differential
differential: ## Compare the engine with the kernel and with gVisor (DIFFERENTIALFLAGS="-seeds 50 -sequences 2000")
	$(GO) test -count=1 -v ./test/differential -run TestKernel $(DIFFERENTIALFLAGS)
	$(GO) -C test/differential/gvisor test -count=1 -v . $(DIFFERENTIALFLAGS)

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run golangci-lint
	$(TOOLS)/golangci-lint run ./...

.PHONY: fmt
fmt: $(TOOLS)/gofumpt $(TOOLS)/goimports ## Format all Go code
	@scripts/format.sh --write

.PHONY: generate
generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Generate the Go code of the API
	$(TOOLS)/buf generate

.PHONY: fuzz-smoke
fuzz-smoke: ## Run every fuzz target for FUZZTIME (3s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: install
install: build ## Install under PREFIX (/usr/local), below DESTDIR when it is set
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

.PHONY: clean
clean: ## Remove what the other targets make
	rm -rf bin bench.json goodput.json

# The tools are pinned: in tools/ those that agree with each other, in modules of their
# own those whose requirements don't. protoc-gen-go is pinned by the protobuf library that
# its output is compiled with.
.PHONY: tools
tools: $(addprefix $(TOOLS)/,gotestsum gofumpt goimports benchstat protoc-gen-go-grpc golangci-lint buf protoc-gen-go)

SMALL_TOOLS := $(addprefix $(TOOLS)/,gotestsum gofumpt goimports benchstat protoc-gen-go-grpc)
$(SMALL_TOOLS) &: tools/go.mod tools/go.sum
	@$(call build_tools,tools,../bin/tools,$(SMALL_TOOLS))

$(TOOLS)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@echo "building golangci-lint: a few minutes, once"
	@$(call build_tools,tools/lint,../../bin/tools,$@)

$(TOOLS)/buf: tools/buf/go.mod tools/buf/go.sum
	@echo "building buf: a few minutes, once"
	@$(call build_tools,tools/buf,../../bin/tools,$@)

$(TOOLS)/protoc-gen-go: go.mod go.sum
	@$(GO) build -trimpath -o $(TOOLS)/ google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@

# build_tools MODULE OUTPUT FILES: linked without debugging tables, which halves the time.
# What was up to date keeps its time, which would have make build it each time.
build_tools = mkdir -p $(TOOLS) && CGO_ENABLED=0 $(GO) -C $(1) build -trimpath -ldflags '-s -w' -o $(2)/ tool && touch $(3)
