# One word for each thing one does here. `make test` is what CI runs (.ci/run), and all of it.
# Every stage of it can be run alone by its name.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
SCHEMATHESIS_VERSION := 4.32.5

# The stages of `make test` in order: quick ones first, tests last, so that their summary ends the output.
STAGES := setup fmt-check alerts lint doc fuzz-smoke build openapi browser doctest unit

# program:package; each is installed by apt if the program is missing.
PROGRAMS := \
    c++:g++ \
    certutil:libnss3-tools \
    chromium:chromium \
    curl:curl \
    delv:bind9-dnsutils \
    dig:bind9-dnsutils \
    dnssec-keygen:bind9-utils \
    ffmpeg:ffmpeg \
    kdig:knot-dnsutils \
    nginx:nginx \
    node:nodejs \
    npm:npm \
    openssl:openssl \
    prometheus-node-exporter:prometheus-node-exporter \
    prometheus-process-exporter:prometheus-process-exporter \
    promtool:prometheus \
    wrk:wrk

.PHONY: help run test $(STAGES) fmt fuzz bench measure soak deny simulate-table

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

run: ## The two-minute tour: a fleet of emulated edges and the real service.
	$(CARGO) run --release --locked -- demo

test: ## Everything, with what it needs installed first.
	@start=$$SECONDS
	for stage in $(STAGES); do
	    echo "== $$((SECONDS - start)) s: $$stage"
	    $(MAKE) --no-print-directory $$stage
	done

setup: ## Install what the tests need; does nothing if it is there.
	@for component in fmt clippy; do
	    $(CARGO) $$component --version >/dev/null || {
	        echo "cargo $$component is missing; install it: rustup component add rustfmt clippy" >&2
	        exit 1
	    }
	done
	missing=
	for pair in $(PROGRAMS); do
	    command -v "$${pair%%:*}" >/dev/null || missing+=" $${pair##*:}"
	done
	command -v $(PYTHON) >/dev/null || missing+=" python3"
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing+=" python3-venv"
	[ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || missing+=" libnginx-mod-rtmp"
	# Without one, the screenshots of the Chinese pages show boxes.
	[ -n "$$(fc-list :lang=zh 2>/dev/null | head -n 1)" ] || missing+=" fontconfig fonts-wqy-microhei"
	if [ -n "$$missing" ]; then
	    $(MAKE) --no-print-directory apt PACKAGES="$$missing"
	fi
	installed=$$(.venv/bin/schemathesis --version 2>/dev/null || true)
	if [[ $$installed != *" $(SCHEMATHESIS_VERSION)" ]]; then
	    rm -rf .venv
	    $(PYTHON) -m venv .venv
	    .venv/bin/pip install --quiet --disable-pip-version-check schemathesis==$(SCHEMATHESIS_VERSION)
	fi

# Installs packages without starting their services: the tests start their own, on free ports.
.PHONY: apt
apt:
	@if [ "$$(id -u)" -ne 0 ]; then
	    echo "missing; install as root: apt-get install -y --no-install-recommends $(PACKAGES)" >&2
	    exit 1
	fi
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $$policy ]; then
	    printf '#!/bin/sh\nexit 101\n' >$$policy
	    chmod 755 $$policy
	    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -qq -y --no-install-recommends $(PACKAGES) </dev/null

fmt: ## Format the sources.
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

fmt-check: ## Sources are formatted.
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml

alerts: ## The alert rules fire when they should, and only then.
	promtool check rules deploy/alerts.yaml
	promtool test rules deploy/alerts.test.yaml

lint: ## No warning of the compiler or of clippy.
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings

doc: ## The documentation builds without a warning.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --all-features

build: ## The binary and all tests, unoptimised.
	$(CARGO) build --locked --all-features --bins --tests

# With the ordinary toolchain and from a fixed seed: the same tree always gives the same answer.
fuzz-smoke: ## Every fuzz target, a few thousand mutations of its seeds (ten seconds, after a build of its own).
	fuzz/run smoke

openapi: build ## The live service keeps what openapi.yaml promises.
	tests/schemathesis.sh

# CI gives it four minutes; it takes one and a half. Screenshots: tests/browser/output.
browser: build ## The operators' pages, driven in Chromium, and what it finds by DNS over HTTPS.
	@cd tests/browser
	npm ci --silent --no-audit --no-fund
	timeout 240 node run.mjs

measure: ## Pages at 10,000 nodes: paint, size, ticks, and what 200 open pages cost (three minutes).
	@$(CARGO) build --locked --profile sim --bins
	cd tests/browser
	npm ci --silent --no-audit --no-fund
	NEARCAST=$${CARGO_TARGET_DIR:-$(CURDIR)/target}/sim/nearcast node measure.mjs

doctest: ## The examples in the documentation.
	$(CARGO) test --locked --all-features --doc

# Also runs what plain `cargo test` leaves out because it needs installed programs.
unit: ## Unit and black-box tests.
	@if $(CARGO) nextest --version >/dev/null 2>&1; then
	    $(CARGO) nextest run --locked --all-features --no-fail-fast --run-ignored all \
	        --config-file tests/support/nextest.toml
	else
	    $(CARGO) test --locked --all-features --no-fail-fast --lib --bins --tests -- \
	        --include-ignored --test-threads 6
	fi

fuzz: ## Search for inputs that break a law, with AddressSanitizer: SECONDS_EACH=180 TARGETS="mmdb pages" make fuzz.
	fuzz/run long

# That of DNS needs its rivals: make apt PACKAGES="gdnsd knot knot-module-geoip pdns-server pdns-backend-geoip".
bench: ## Measure; see benches/.
	$(CARGO) bench --locked --all-features

soak: ## Ten thousand reloads under load, optimised (some minutes); the everyday run has three hundred.
	NEARCAST_SOAK_RELOADS=10000 $(CARGO) test --profile sim --locked --test blackbox -- --exact --nocapture \
	    reload::reloads_under_load_fail_no_question_and_keep_the_memory

deny: ## What cargo-deny says of licences, bans and sources; tests/licences.rs is the everyday check.
	@$(CARGO) deny --version >/dev/null 2>&1 || {
	    echo "cargo-deny is missing; install it: cargo install cargo-deny --locked" >&2
	    exit 1
	}
	$(CARGO) deny --locked check bans licenses sources

.ONESHELL:

simulate-table: ## The promises of the scheduler, every scenario, seeds 1 to 3, beside the naive rule (half an hour).
	$(CARGO) run --release --locked -- simulate --scenario all --policy product,naive --markdown
