# Everything here needs Python 3.11 or newer and make; the rest is installed into .venv with pinned versions and hashes.
PYTHON ?= python3
BIN := .venv/bin
PEERS := .venv-peers/bin
FORECAST := .venv-forecast/bin
INSPECT := .venv-inspect/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
MARKET ?= ../shared/market
QUESTION ?= Put 2 million dollars of stablecoins to work, low risk, no more than 25% in one pool

.DEFAULT_GOAL := help
.PHONY: help demo test evals backtests results check lint types imports forgeries promises peers bench parity forecast forecast-test inspect-test postgres postgres-test conversation lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

.venv/runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Plimsoll needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.11 " + "demo")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing pinned requirements into .venv ..."
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q agents tools evals plimsoll prompts
	@touch $@

.venv/dev: .venv/runtime requirements/dev.txt
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/runtime ## set up, then answer a question on the embedded synthetic market
	$(BIN)/plimsoll ask "$(QUESTION)" --source demo --out out/demo

test: .venv/dev ## set up, then run all tests, on two processes
	@# Each file (of the tools each room) in a process of its own, two at a time: none sees what another left in memory.
	@printf '%s\n' $(wildcard tests/test_*.py tests/agents/test_*.py tests/evals/test_*.py tests/plimsoll/test_*.py tests/promises/test_*.py tests/tools/test_*.py) $(sort $(dir $(wildcard tests/tools/*/test_*.py))) \
		| OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 xargs -P 2 -I{} sh -c '$(BIN)/python -m pytest {} || [ $$? -eq 5 ]'

check: lint types imports ## lint, types and import directions

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

imports: .venv/dev
	$(BIN)/lint-imports --no-cache

# The libraries the project is measured against, and the compiler of its extra "fast", stay out of its own environment.
.venv-peers/ready: requirements/peers.txt pyproject.toml
	@test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	@echo "Installing the peers, pinned, into .venv-peers ..."
	@$(PEERS)/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/peers.txt
	@$(PEERS)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@$(PEERS)/python -m compileall -q agents tools evals plimsoll prompts
	@touch $@

evals: .venv/runtime ## run all evaluation suites on two processes; results and report in out/evals
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/plimsoll eval run all --workers 2

# The runs of the backtest that the pages show: name, asset, dollars, days to decide on, last day.
THREE := 2024-10-01,2024-12-01,2025-01-15
MONTHLY := 2024-08-31,2024-10-01,2024-11-01,2024-12-01,2025-01-01,2025-01-31
AUTUMN := 2025-08-31,2025-09-26
BACKTESTS := usd3-1m:USD:1000000:$(THREE):2025-02-28 monthly-1m:USD:1000000:$(MONTHLY):2025-02-28 usd3-10k:USD:10000:$(THREE):2025-02-28 \
	monthly-10k:USD:10000:$(MONTHLY):2025-02-28 usd3-10m:USD:10000000:$(THREE):2025-02-28 \
	eth-1m:ETH:1000000:$(AUTUMN):2025-10-06 btc-1m:BTC:1000000:$(AUTUMN):2025-10-06

backtests: .venv/runtime ## decide again on the days that docs/backtest.md shows, and write its tables (MARKET=FOLDER)
	@test -d "$(MARKET)/pools" || { echo "Name a recorded market: make $@ MARKET=FOLDER"; exit 1; }
	for run in $(BACKTESTS); do set -- $$(echo $$run | tr : ' '); \
		$(BIN)/plimsoll backtest --source "$(MARKET)" --asset $$2 --amount $$3 --days $$4 --end $$5 --workers 2 --out out/backtest/$$1 || exit 1; \
	done
	$(BIN)/python -m evals.backtest $(foreach run,$(BACKTESTS),out/backtest/$(firstword $(subst :, ,$(run))))

results: evals promises backtests ## measure the advice again on a recorded market and write all pages of results (MARKET=FOLDER; an hour or more)
	$(BIN)/plimsoll eval report --page docs/evaluation.md
	$(BIN)/python -m evals.claim --source "$(MARKET)" --out docs/claim.md
	$(BIN)/plimsoll eval ablation --source "$(MARKET)" --page docs/ablation.md
	$(BIN)/python -m evals.results --backtests out/backtest/usd3-1m --promises out/promises.json

forgeries: .venv/dev ## forge a thousand figures instead of the two hundred of the tests
	FORGERIES=1000 $(BIN)/python -m pytest tests/plimsoll/test_forgeries.py

promises: .venv/dev ## attack, obey, lie and reword hundreds of times; prints how often a promise was broken, and writes out/promises.json
	$(BIN)/python tests/promises/run_all.py

peers: .venv-peers/ready ## set up the environment of the libraries that bench and parity compare with

bench: .venv-peers/ready ## print the speed ratios, each measured in one run against its limit and its peer
	$(PEERS)/python -m benchmarks

parity: .venv-peers/ready ## compare the figures with those of independent libraries, and the compiled ones with numpy's
	$(PEERS)/python -m benchmarks.parity
	$(PEERS)/python -m pytest tests/tools/metrics

# torch and statsforecast stay out of the project's own environment: torch alone is four times as large.
.venv-forecast/ready: requirements/forecast.txt requirements/forecast-linux.txt pyproject.toml
	@test -x $(FORECAST)/python || $(PYTHON) -m venv .venv-forecast
	@echo "Installing torch and statsforecast, pinned, into .venv-forecast ..."
	@$(FORECAST)/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/forecast.txt -r requirements/forecast-linux.txt || { echo "If it is torch that is missing: on Linux this needs a build of torch 2.13.0 for processors (torch 2.13.0+cpu) where pip finds it, by its find-links or its index setting, with its hash in requirements/forecast-linux.txt. The plain build there is one for graphics cards and pulls gigabytes."; exit 1; }
	@$(FORECAST)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@$(FORECAST)/python -c 'import statsforecast, torch' || { echo "torch or statsforecast is installed and cannot be imported; this needs a build of torch 2.13.0 for processors that fits this machine and Python."; exit 1; }
	@touch $@

forecast: .venv-forecast/ready ## set up torch and statsforecast in .venv-forecast (on Linux it needs the CPU build of torch)

forecast-test: .venv-forecast/ready ## run the tests of the forecasts with torch and statsforecast; fails where they are not to be had
	$(FORECAST)/python -m pytest tests/tools/forecast tests/plimsoll/test_forecast.py

# inspect-ai cannot have every version that is pinned for the project's own environment.
.venv-inspect/ready: requirements/inspect.txt pyproject.toml
	@test -x $(INSPECT)/python || $(PYTHON) -m venv .venv-inspect
	@echo "Installing inspect-ai, pinned, into .venv-inspect ..."
	@$(INSPECT)/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/inspect.txt
	@$(INSPECT)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

inspect-test: .venv-inspect/ready ## run the test of the tasks for inspect-ai, with its scripted model
	@# inspect-ai leaves streams open when it ends, which is nothing that a test of ours could close.
	$(INSPECT)/python -m pytest -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning tests/evals/test_inspect_tasks.py

postgres: .venv/dev ## install the extra that remembers conversations in PostgreSQL
	$(PIP) install --require-hashes -r requirements/postgres.txt

postgres-test: postgres ## test it against a server of its own (Debian package: postgresql)
	$(BIN)/python -m pytest tests/agents/test_postgres.py

conversation: .venv/runtime ## regenerate docs/conversation.md from docs/conversation.txt on a recorded market, and verify it
	@test -d "$(MARKET)/pools" || { echo "Name a recorded market: make conversation MARKET=FOLDER"; exit 1; }
	rm -rf out/conversation
	PLIMSOLL_HOME=out/conversation $(BIN)/plimsoll chat --thread docs --source "$(MARKET)" --as-of 2025-02-28 --format md < docs/conversation.txt > /dev/null
	@test $$(ls -d out/conversation/threads/docs/turn-* | wc -l) -eq $$(wc -l < docs/conversation.txt) || { echo "A line was not answered."; exit 1; }
	for turn in out/conversation/threads/docs/turn-*; do $(BIN)/plimsoll verify $$turn || exit 1; done
	{ cat docs/conversation.head.md; PLIMSOLL_HOME=out/conversation $(BIN)/plimsoll threads show docs; } > docs/conversation.md

lock: ## resolve the pinned requirements again (needs uv on the PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q pyproject.toml requirements/build.in -o requirements/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q pyproject.toml requirements/build.in requirements/dev.in -c requirements/runtime.txt -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --extra fast pyproject.toml requirements/build.in requirements/dev.in requirements/peers.in -c requirements/dev.txt -o requirements/peers.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --extra postgres pyproject.toml requirements/build.in requirements/dev.in -c requirements/dev.txt -o requirements/postgres.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --extra cluster pyproject.toml requirements/build.in requirements/dev.in -c requirements/dev.txt -o requirements/cluster.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q pyproject.toml requirements/build.in requirements/dev.in requirements/forecast.in -c requirements/dev.txt -o requirements/forecast.txt
	# As pinned for dev, but for what inspect-ai uses to reach storage: it wants python-dateutil 2 (pandas takes either) and an older fsspec.
	mkdir -p out
	sed -n 's/ \\$$//p' requirements/dev.txt | grep -v -e '^ ' -e '^python-dateutil==' -e '^fsspec==' > out/pins.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q --extra inspect pyproject.toml requirements/build.in requirements/dev.in -c out/pins.txt -o requirements/inspect.txt

clean: ## remove the environment and what the runs left in out/
	rm -rf .venv .venv-peers .venv-forecast .venv-inspect out build *.egg-info
