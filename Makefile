# make demo    build and run the suite on one machine, on real taxi trips
# make test    build and run every test
# make check-kubernetes   render and check k8s/ and helm/, part of make test (needs python3 and kubectl; names what it skips)
# make bench   windows, alerts (ALERTS=10000000 for all of them), and POST /predict against FastAPI servers (needs wrk; peers from PyPI)
# make crash-test   the same input through a disturbed and an undisturbed chain, every effect compared (CRASH_FLAGS: see --help); with
#                   SWIFT_FLAGS="-Xswiftc -DVYUHA_BROKEN_COMMIT_FIRST" or …_BROKEN_FENCING the services are wrong on purpose
# make accuracy DATA=folder   the detectors on labelled data, beside published libraries; fails if a row that once held falls (Python, PyPI)
# make api-test   1,000 random requests made from /openapi.json against a running scoring service (schemathesis, from PyPI)
# make docs-screenshot   a picture of the /docs page in a real browser (needs chromium)
# make deploy-test   images, Compose, and a use case that is killed, paused and scaled under traffic (root or a Docker Engine)
# Each target installs the Debian packages that it needs (services/scripts/setup.sh).

USE_CASE   ?= nyc-taxi
DEMO_FLAGS ?=
CRASH_FLAGS ?=
DATA       ?=
SWIFT      ?= swift
# Static Swift runtime: an executable then needs only the C libraries of the system.
RELEASE    := -c release --static-swift-stdlib

.PHONY: demo test check-kubernetes crash-test deploy-test bench accuracy api-test docs-screenshot build setup format format-check clean

demo: build
	.build/release/vyuhactl up --use-case $(USE_CASE) $(DEMO_FLAGS)

build: setup
	$(SWIFT) build $(RELEASE)

test:
	@services/scripts/setup.sh --tests
	services/scripts/check-deployment.sh
	$(SWIFT) build --build-tests
	$(SWIFT) package --scratch-path .build/describe dump-package > .build/package.json
	$(SWIFT) test --skip-build --parallel
	@$(MAKE) --no-print-directory check-kubernetes

check-kubernetes:
	@if command -v python3 >/dev/null; then services/scripts/check-kubernetes.py; else echo "kubernetes: skipped: python3 is not installed."; fi

deploy-test:
	USE_CASE=$(USE_CASE) services/deploy-test/run.sh

crash-test:
	@services/scripts/setup.sh --tests
	$(SWIFT) build $(RELEASE) $(SWIFT_FLAGS)
	.build/release/vyuhactl crash-test --use-case Tests/SuiteTests/Definitions/crash $(CRASH_FLAGS)

bench: build
	services/scripts/bench/run.sh

accuracy:
	@python3 services/scripts/accuracy/needs.py "$(DATA)"
	@services/scripts/setup.sh
	$(SWIFT) build $(RELEASE) --product trainer
	@services/scripts/accuracy/run.sh "$(DATA)"

api-test: build
	services/scripts/api-test.sh

docs-screenshot: build
	services/scripts/docs-screenshot.sh .build/docs.png

setup:
	@services/scripts/setup.sh

format:
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests

format-check:
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

clean:
	rm -rf .build
