# The few commands of the project. `.ci/run` calls the same ones.
FUZZTIME ?= 60s
DEPTH ?= 6
ROUNDS ?= 10

.PHONY: build localnet demo test check model faults chaos fuzz bench soak proto clean

build: ## the three programs, into bin/
	mkdir -p bin
	go build -trimpath -o bin/ ./cmd/munimentd
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/muniment ./cmd/muniment-verify

localnet: build ## four nodes on this machine and a view of them, until Ctrl-C; DIR (default localnet) keeps them
	bash scripts/localnet.sh $(DIR)

demo: build ## the main job, then retention and disposition, then redaction and destruction, each on an embedded ledger in a temporary directory
	bash scripts/demo.sh
	bash scripts/story.sh
	bash scripts/forget.sh

test: ## every test; prints how many were skipped
	bash scripts/test.sh

check: ## format, vet, staticcheck, generated code, rules of the tree, race detector
	bash scripts/check.sh

model: ## every interleaving of holds, dispositions and misfortunes, DEPTH (default 6) moves deep; PLAIN=1: plain moves alone
	go test -count=1 -timeout 0 -v -run 'TestEveryInterleaving|TestNoStateIsMissed' ./tests/model -depth $(DEPTH) $(if $(PLAIN),-plain)

faults: ## every seeded fault of tests/faults is caught by the check that its header names; PART=K/N: one in N of them
	TESTED=$(TESTED) PART=$(PART) bash scripts/faults.sh

chaos: ## four real nodes under load and ROUNDS (default 10) of every kind of fault, as root on Linux; SEED=N repeats a run, RESULTS=FILE keeps the figures
	go vet -tags chaos ./tests/chaos
	go test -count=1 -tags chaos -timeout 0 -v ./tests/chaos -rounds $(ROUNDS) $(if $(SEED),-seed $(SEED)) $(if $(RESULTS),-results $(abspath $(RESULTS)))

fuzz: ## every fuzz target for FUZZTIME (default 60s) each; PART=K/N: one in N of them
	PART=$(PART) bash scripts/fuzz.sh $(FUZZTIME)

bench: ## every figure beside its baseline, seven minutes; -growth and -profile: see scripts/bench
	go run ./scripts/bench

soak: ## long crash runs and random histories, an hour; by hand before a release
	bash scripts/soak.sh

proto: ## regenerate proto/**/*.pb.go in place
	cd proto && go tool -modfile=../scripts/tools.mod buf lint
	cd proto && go tool -modfile=../scripts/tools.mod buf generate

clean: ## remove what the targets made
	rm -rf bin
