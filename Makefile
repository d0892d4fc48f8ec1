# Recipes of the house; `make` alone lists them. Packages that are missing are installed (Debian; root or sudo).

CARGO ?= cargo
CONFIG ?= examples/kamailio.cfg
BUILD_PACKAGES = gcc pkg-config python3 python3-dev
FUZZ_PACKAGES = $(BUILD_PACKAGES) g++
TEST_PACKAGES = $(FUZZ_PACKAGES) mypy sip-tester kamailio kamailio-python3-modules kamailio-sqlite-modules kamailio-mysql-modules \
	kamailio-postgres-modules mariadb-server mariadb-client postgresql sqlite3 python3-prometheus-client rtpengine-daemon
TARGET = $(or $(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET)/release

.PHONY: help run build release test soak test-python test-freethreaded check lint generate fuzz bench conformance deps build-deps fuzz-deps test-deps

help:
	@echo 'make run          build and start the server on udp:127.0.0.1:5060 (CONFIG=file for another configuration)'
	@echo 'make test         all tests, with SIPp and the packaged Kamailio against the running server, real databases, and a minute of fuzzing'
	@echo 'make soak         everything that ever stopped a server at once, for as long as asked (SECONDS=3600)'
	@echo 'make test-python  the Python engine on another Python (PYTHON=/path/to/python)'
	@echo 'make test-freethreaded  the same on a free-threaded Python 3.13, which is built first'
	@echo 'make check        does it compile, everywhere'
	@echo 'make lint         formatting, clippy, generated pages up to date'
	@echo 'make generate     print docs/generated and docs/coverage.md anew from the declarations'
	@echo 'make conformance  the same scenarios through Trunkline and Kamailio'
	@echo 'make fuzz         a minute of fuzzing for each target (SECONDS=60)'
	@echo 'make release      the server for production, compiled with a profile of its work: target/profiled/trunkline'
	@echo 'make bench        that one against Kamailio: CPU per message, latency, memory (JOBS=a,b,c for some of its six jobs)'
	@echo 'make deps         install the Debian packages all of this needs'

run: build
	$(RELEASE)/trunkline run -f $(CONFIG)

build: build-deps
	$(CARGO) build --release --locked -p trunkline-server

release: build-deps
	CARGO='$(CARGO)' release/build

test: test-deps
	$(CARGO) build --locked -p trunkline-server
	.ci/databases $(CARGO) test --locked --workspace
	@python=$$(.ci/newer-python) && if [ -n "$$python" ]; then CARGO='$(CARGO)' .ci/test-python "$$python" engine; fi
	release/train.py $(TARGET)/debug/trunkline 2
	fuzz/run 60 message

soak: build-deps
	STRESS_SECONDS=$(SECONDS) $(CARGO) test --locked -p trunkline-server --test stress -- --nocapture

test-python: build-deps
	@CARGO='$(CARGO)' .ci/test-python '$(PYTHON)'

test-freethreaded: build-deps
	@python=$$(.ci/freethreaded) && CARGO='$(CARGO)' .ci/test-python "$$python"

check: build-deps
	$(CARGO) check --locked --workspace --all-targets

lint: build-deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory generate
	git diff --exit-code -- docs/generated docs/coverage.md

generate: build-deps
	$(CARGO) run --locked -q -p trunkline-server -- generate docs/generated

conformance: test-deps
	$(CARGO) build --locked -p trunkline-server
	SIP_TEST_SUBJECT=kamailio $(CARGO) test --locked -p trunkline-conformance --test scenarios
	SIP_TEST_SUBJECT=trunkline $(CARGO) test --locked -p trunkline-conformance

SECONDS ?= 60
fuzz: fuzz-deps
	fuzz/run $(SECONDS)

bench: release
	benches/compare.py --trunkline $(TARGET)/profiled/trunkline $(if $(JOBS),--jobs $(JOBS))

deps: test-deps
build-deps:
	@.ci/deps $(BUILD_PACKAGES)
fuzz-deps:
	@.ci/deps $(FUZZ_PACKAGES)
test-deps:
	@.ci/deps $(TEST_PACKAGES)
