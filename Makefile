# make demo    build and run the suite on one machine, on real taxi trips
# make test    build and run every test (TESTS='RetryTests ProducerTests' runs those alone)
# make check-kubernetes   render and check k8s/ and helm/, part of make test (needs python3 and kubectl; names what it skips)
# make bench   stream, detectors, scorer, producer, state, drain, idle, alerts (ALERTS=10000000 for all of them) and API beside their peers (needs wrk; peers from PyPI)
# make sanitize   every test under AddressSanitizer and ThreadSanitizer (builds of their own; SANITIZERS, TARGETS: services/scripts/sanitize/run.sh)
# make fuzz    FUZZ_CASES (200,000) random and mutated inputs for each of: expressions, events (twice), CSV rows, JSON documents, definitions,
#                   Parquet files
# make crash-test   the same input through a disturbed and an undisturbed chain, every effect compared (CRASH_FLAGS: see --help); with
#                   SWIFT_FLAGS="-Xswiftc -DVYUHA_BROKEN_COMMIT_FIRST" or …_BROKEN_FENCING the services are wrong on purpose
# make crash-test-exactly-once   the same with transactions, on noida-db (python3, PyPI) or on KAFKA_BOOTSTRAP_SERVERS
# make crash-test-can-fail   both wrong services; fails unless the crash test does
# make accuracy DATA=folder   the detectors on labelled data, beside published libraries; fails if a row that once held falls (Python, PyPI)
# make api-test   1,000 random requests made from /openapi.json against a running scoring service (schemathesis, from PyPI)
# make websocket-test   the HTTP server's WebSockets against a client that is not ours (websockets, from PyPI)
# make docs-screenshot   a picture of the /docs page in a real browser (needs chromium)
# make deploy-test   images, Compose, and a use case that is killed, paused and scaled under traffic (root or a Docker Engine)
# Each target installs the Debian packages that it needs (services/scripts/setup.sh).

USE_CASE   ?= nyc-taxi
DEMO_FLAGS ?=
CRASH_FLAGS ?=
FUZZ_CASES ?= 200000
DATA       ?=
TESTS      ?=
SWIFT      ?= swift
# Static Swift runtime: an executable then needs only the C libraries of the system.
RELEASE    := -c release --static-swift-stdlib

.PHONY: demo test fuzz check-kubernetes sanitize crash-test crash-test-exactly-once crash-test-can-fail deploy-test bench accuracy api-test websocket-test docs-screenshot build setup format format-check clean

demo: build
	.build/release/vyuhactl up --use-case $(USE_CASE) --loop $(DEMO_FLAGS)

build: setup
	$(SWIFT) build $(RELEASE)

test:
	@services/scripts/setup.sh --tests
	services/scripts/checks/deployment.sh
	$(SWIFT) build --build-tests
	$(SWIFT) package --scratch-path .build/describe dump-package > .build/package.json
	services/scripts/checks/tests.sh $(TESTS)
	@$(MAKE) --no-print-directory check-kubernetes

# Each suite runs in a process of its own: one that crashed or hung is named.
fuzz: setup
	$(SWIFT) build --build-tests
	@for suite in FeaturesTests.FuzzTests JSONTests.JSONFieldsTests/fuzz UseCasesTests.BrokenDefinitionTests/fuzz ParquetTests.FuzzTests; do \
		VYUHA_FUZZ_CASES=$(FUZZ_CASES) $(SWIFT) test --skip-build --filter $$suite || exit 1; done

check-kubernetes:
	@if command -v python3 >/dev/null; then services/scripts/kubernetes/check.py; else echo "kubernetes: skipped: python3 is not installed."; fi

deploy-test:
	USE_CASE=$(USE_CASE) services/deploy-test/run.sh

crash-test: setup
	$(SWIFT) build $(RELEASE) $(if $(SWIFT_FLAGS),--scratch-path .build/flagged $(SWIFT_FLAGS))
	.build/$(if $(SWIFT_FLAGS),flagged/)release/vyuhactl crash-test --use-case Tests/Tools/SuiteTests/Definitions/crash $(CRASH_FLAGS)

crash-test-exactly-once: build
	services/scripts/crash-test/exactly-once.sh $(CRASH_FLAGS)

crash-test-can-fail: build
	services/scripts/crash-test/can-fail.sh $(CRASH_FLAGS)

sanitize:
	@services/scripts/setup.sh --tests
	services/scripts/sanitize/run.sh

bench: build
	services/scripts/bench/run.sh

accuracy:
	@python3 services/scripts/accuracy/needs.py "$(DATA)"
	@services/scripts/setup.sh
	$(SWIFT) build $(RELEASE) --product trainer
	@services/scripts/accuracy/run.sh "$(DATA)"

api-test: build
	services/scripts/api/test.sh

websocket-test: build
	services/scripts/api/websocket-test.sh

docs-screenshot: build
	services/scripts/api/docs-screenshot.sh .build/docs.png

setup:
	@services/scripts/setup.sh

format:
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests

format-check:
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

clean:
	rm -rf .build
