# make demo    build and run the suite on one machine, on real taxi trips
# make test    build and run every test
# Each target installs the Debian packages that it needs (services/scripts/setup.sh).

USE_CASE   ?= nyc-taxi
DEMO_FLAGS ?=
SWIFT      ?= swift
# Static Swift runtime: an executable then needs only the C libraries of the system.
RELEASE    := -c release --static-swift-stdlib

.PHONY: demo test build setup format format-check clean

demo: build
	.build/release/vyuhactl up --use-case $(USE_CASE) $(DEMO_FLAGS)

build: setup
	$(SWIFT) build $(RELEASE)

test: setup
	$(SWIFT) build --build-tests
	$(SWIFT) package --scratch-path .build/describe dump-package > .build/package.json
	$(SWIFT) test --skip-build --parallel

setup:
	@services/scripts/setup.sh

format:
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests

format-check:
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

clean:
	rm -rf .build
