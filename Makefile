# Every target is one line in front of Python. DATA_DIR (default .local) holds everything that running leaves behind.
PYTHON = .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-check demo-reset run stop test approve trust upgrade lint bench lists ocpi-matrix breakages requirements

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 22

setup: ## make .venv from the pinned requirements (every target below does it by itself)
	@python3 -m emsp.install

demo: setup ## start everything with simulated charge point operators and a hub, and let a month happen (MONTHS=12: a year); Ctrl-C stops
	@$(PYTHON) -m emsp.demo $(if $(MONTHS),--months $(MONTHS))

demo-check: setup ## the same without a terminal, and recount every figure; SABOTAGE=1..8 plants a fault, all tries each
	@$(PYTHON) -m emsp.demo --check $(if $(SABOTAGE),--sabotage $(SABOTAGE))

demo-reset: setup ## forget the demo's world
	@$(PYTHON) -m emsp.launch reset

run: setup ## start everything for real use on this machine; Ctrl-C stops
	@$(PYTHON) -m emsp.launch run

stop: setup ## stop whatever runs here: processes, PostgreSQL, Valkey
	@$(PYTHON) -m emsp.launch stop

test: setup ## the whole suite; needs nothing running
	@$(PYTHON) -m pytest -n 4 $(TESTS)

approve: setup ## take documents as they look now for what they should be; look at tests/billing/approved first
	@$(PYTHON) -m pytest tests/billing/test_pictures.py --approve

trust: setup ## kill, stop and lie to a running platform, and hold what is left against a ledger; SEEDS=10 tries as many
	@$(PYTHON) -m trust $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) $(if $(ONLY),--only $(ONLY)) $(if $(CASES),--cases $(CASES))

upgrade: setup ## migrate the database of the release FROM (a commit or tag) for this one while it works, and see that no request fails
	@$(PYTHON) -m trust.upgrade $(FROM)

lint: setup ## ruff, its format, and the import contracts
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/lint-imports

bench: setup ## measure, and write docs/benchmarks.md
	@$(PYTHON) -m bench

lists: setup ## write docs/security-controls.md and docs/urls.md from the code
	@$(PYTHON) -m tests.security

ocpi-matrix: setup ## write docs/ocpi.md: which requirement of OCPI is shown by which tests, per version
	@$(PYTHON) -m tests.ocpi.requirements

breakages: setup ## break what speaks with partners, line by line in a copy, and see that a test notices; ONLY=tokens chooses
	@$(PYTHON) -m tests.breakages $(ONLY)

requirements: ## pin what requirements*.in ask for, with hashes
	@python3 -m emsp.install requirements
