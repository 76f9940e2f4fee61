# Every target does its own set-up: the first run installs the pinned dependencies, later ones find them there.
#   PYTHON            interpreter to build the environment with, 3.11 or newer
#   MODEL_LEGO_VENVS  folder of environments, to share them between checkouts (default: .venv)
#   WORKERS           test processes
#   PYTHONS           interpreters of `make test-pythons`
#   COUNT, SEED       how many random networks, and which
#   SECONDS           how long `make fuzz` damages files, and then again with atheris
#   ARGS              more arguments for pytest, the demo or the benchmarks

EXTRAS := dev demo docs draw export graphs hf timm
WORKERS ?= 2
PYTHONS ?= python3.11 python3.13
COUNT ?= 2000
SECONDS ?= 600
SEED ?= 0
ARGS ?=
FOREIGN := build/foreign-packages
GUIDED := build/guided-packages
EXAMPLES := build/examples

usable = $(1) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $(call usable,$$p); then echo $$p; break; fi; done)
endif

venv = $(shell $(PYTHON) tools/venv.py --where $(EXTRAS))
in_venv = PYTHONPATH="$(CURDIR)/src" "$(venv)"/bin
# bytecode is kept also where PYTHONDONTWRITEBYTECODE is set: each process that is started would compile all modules
pytest = PYTHONDONTWRITEBYTECODE= $(in_venv)/python -m pytest -q -n $(WORKERS) --dist loadfile $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help venv demo check test test-processors test-pythons wheel bench bench-attribution accuracy tables coverage foreign fuzz fuzz-networks examples docs schema clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv: ## install the pinned dependencies, unless they are there
	@$(call usable,$(or $(PYTHON),false)) || { echo "Python 3.11 or newer is needed (with venv):" \
		"install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) tools/venv.py $(EXTRAS) >/dev/null

demo: venv ## train two small classifiers on real digits, take them apart, build a new one
	@$(in_venv)/python -m model_lego demo --overwrite $(ARGS)

check: venv ## lint, format, types, layers
	$(in_venv)/ruff check .
	$(in_venv)/ruff format --check .
	$(in_venv)/mypy src tools $(wildcard benchmarks)
	$(in_venv)/lint-imports

test: check ## check, then every test and every example of the documentation
	OMP_NUM_THREADS=1 $(pytest)

test-processors: venv ## the tests as on other processors: three sets of instructions, each with one and two threads
	@failed=; for capability in default avx2 own; do for threads in 1 2; do \
		echo "$$capability instructions, threads: $$threads"; \
		if [ $$capability = own ]; then unset ATEN_CPU_CAPABILITY; else export ATEN_CPU_CAPABILITY=$$capability; fi; \
		workers=$$((($(WORKERS) + threads - 1) / threads)); : "more threads than processors wait for each other"; \
		OMP_NUM_THREADS=$$threads $(pytest) -n $$workers || failed="$$failed $$capability/$$threads"; \
	done; done; [ -z "$$failed" ] || { echo "failed (instructions/threads):$$failed"; exit 1; }

test-pythons: ## the tests on each of PYTHONS
	@failed=; for python in $(PYTHONS); do \
		echo "$$python"; $(MAKE) --no-print-directory test PYTHON=$$python || failed="$$failed $$python"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

wheel: venv ## build sdist and wheel into dist, and try the wheel in a fresh environment
	@$(in_venv)/python tools/wheel.py

docs: venv ## build a site that can be searched, of the documentation and all docstrings: build/site/README.html
	@$(in_venv)/python tools/build_site.py

schema: venv ## write docs/manifest.schema.json, the JSON Schema of manifests, as the code has it
	@$(in_venv)/python tools/manifest_schema.py

bench: venv ## measure the tables of the documentation
	@$(in_venv)/python -m benchmarks.run $(ARGS)

bench-attribution: venv ## measure attribution beside a plain forward, statistics, repair; some minutes
	@$(in_venv)/python -m benchmarks.attribution $(ARGS)

tables: venv ## measure the paper's tables at CPU scale: an evening, goes on where it was stopped
	@$(in_venv)/python -m model_lego bench tables $(ARGS)

accuracy: venv ## measure components and assemblies on trained networks, three seeds, into docs/accuracy.md; some 15 minutes
	@$(in_venv)/python -m benchmarks.accuracy $(ARGS)

coverage: venv ## try every network of torchvision and timm on the list; an hour, goes on where it was stopped
	@WORKERS=$(WORKERS) $(in_venv)/python -m benchmarks.coverage $(ARGS)

foreign: venv ## try published networks of many authors, from packages in an environment of their own; about an hour
	@[ -e $(FOREIGN)/complete ] || { $(venv)/bin/python -m venv $(FOREIGN) && \
		$(venv)/bin/python -c 'import site; print(*site.getsitepackages())' > \
			"$$(echo $(FOREIGN)/lib/python*/site-packages)/project.pth" && \
		$(FOREIGN)/bin/python -m pip install --quiet --no-deps -r benchmarks/foreign/requirements.txt && \
		touch $(FOREIGN)/complete; }
	@OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)/src" $(FOREIGN)/bin/python -m benchmarks.foreign $(ARGS)

fuzz: venv ## damage files that are read, at random: a result or a refusal, soon, in little memory; SECONDS=600 SEED=0, twice that
	@OMP_NUM_THREADS=1 $(in_venv)/python -m tests.fuzz.files --seconds $(SECONDS) --seed $(SEED) $(ARGS)
	@[ -e $(GUIDED)/complete ] || { $(venv)/bin/python -m venv $(GUIDED) && \
		$(venv)/bin/python -c 'import site; print(*site.getsitepackages())' > \
			"$$(echo $(GUIDED)/lib/python*/site-packages)/project.pth" && \
		$(GUIDED)/bin/python -m pip install --quiet --no-deps -r tests/fuzz/files/requirements.txt && \
		touch $(GUIDED)/complete; } || { echo "atheris cannot be installed here: only hypothesis drew cases"; exit 0; }; \
	OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR)/src" $(GUIDED)/bin/python -m tests.fuzz.files.guided $(SECONDS) $(SEED)

fuzz-networks: venv ## try random networks: cut, joined and saved right, or refused; COUNT=2000 SEED=0, an hour
	@OMP_NUM_THREADS=1 $(in_venv)/python -m tests.fuzz --count $(COUNT) --seed $(SEED) $(ARGS)

examples: $(EXAMPLES)/complete ## try the server and the page of examples/, in environments of their own
	@cd examples/serve && "$(CURDIR)/$(EXAMPLES)/bin/python" -m pytest -q -p no:cacheprovider $(ARGS)
	@command -v npm >/dev/null || { echo "npm is not installed: examples/browser is not tried"; exit 0; }; \
	$(EXAMPLES)/bin/python examples/serve/tiny_model.py $(EXAMPLES) && cd examples/browser && \
		npm ci --no-fund --no-audit --loglevel=error && PYTHON="$(CURDIR)/$(EXAMPLES)/bin/python" \
		npm test --silent -- "$(CURDIR)/$(EXAMPLES)/rgb.onnx" "$(CURDIR)/$(EXAMPLES)/green.png"

$(EXAMPLES)/complete: examples/serve/requirements.txt examples/serve/requirements-test.txt
	@$(PYTHON) -m venv --clear $(EXAMPLES)
	@$(EXAMPLES)/bin/python -m pip install --disable-pip-version-check --quiet -r examples/serve/requirements-test.txt
	@touch $@

clean: ## remove what the other targets made in this checkout
	rm -rf .venv build/coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist \
		examples/browser/node_modules examples/browser/dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
