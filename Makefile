# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := results/demo
# Tests run in so many processes, each with whole files.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile
EXPERTS := tiny:math,tiny:words,tiny:facts
# What each expert is good at, as `moco list members` says it.
DESCRIPTIONS := ["good with numbers, sums and differences", "good with letters and spelling", \
  "knows people, their homes, pets, drinks and crafts"]
# Merges of what the experts changed in tiny:stem, the model they were all tuned from.
BASED := task_arithmetic ties dare della breadcrumbs model_stock
# The first layers mostly from the first expert, the last from the last.
CURVE := [[0.6,0.2,0.2],[0.2,0.6,0.2],[0.2,0.2,0.6]]
# Settings without a default
GIVEN := $(foreach name,$(BASED),--set weight_$(name).base_model=tiny:stem) \
  --set weight_dare_ties.base_model_name=tiny:stem \
  --set api_switch_generation.selector_model_name=tiny:large \
  --set text_structure.structure_type=complete \
  --set 'weight_layerwise.coefficients=$(CURVE)'

.DEFAULT_GOAL := help
.PHONY: help demo test parity lint format bench compared comparison readme golden clean

help:
	@echo "make demo    install, let the tiny pool collaborate on tiny_mix, write a report"
	@echo "make test    install, run the test suite (no torch)"
	@echo "make parity  the same with the comparisons with PyTorch"
	@echo "make lint    formatting, lint, import rules and types"
	@echo "make comparison  run all methods on the packaged tasks; fills docs/comparison.md"
	@echo "make readme  run the README's examples and show what they print"
	@echo "make golden  see that demo and comparison answer as tests/golden/answers.json says"
	@echo "make bench   measure everything in docs/performance.md anew (hours; an idle machine)"
	@echo "make clean   remove the virtual environment, caches and demo results"

demo: $(VENV)/installed
	$(BIN)/moco compare --methods=all --tasks=tiny_mix --models=$(EXPERTS) --out=$(DEMO) \
	  --html=$(DEMO)/report.html \
	  --set 'api_prompt_routing.model_descriptions=$(DESCRIPTIONS)' \
	  $(GIVEN)

test: $(VENV)/installed-test
	$(PYTEST) -m "not parity"

parity: $(VENV)/installed-parity
	$(PYTEST)

lint: $(VENV)/installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/installed-lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What docs/performance.md shows, one script after the other; BENCHES=single,bank for some of them.
BENCH := results/bench
BENCHES ?= single,roofline,products,attention,joint,bank,sweep,merging,kernels,startup,growth

bench: $(VENV)/installed-parity
	@set -e; for name in $$(echo $(BENCHES) | tr , ' '); do \
	  echo "== $$name"; plots=; [ $$name != growth ] || plots=--plots=docs/performance; \
	  $(BIN)/python experiments/bench_$$name.py --json=$(BENCH)/$$name.json $$plots; done
	$(BIN)/python experiments/fill_performance_page.py --results=$(BENCH) --page=docs/performance.md

# What docs/comparison.md shows
COMPARED := results/comparison
TWICE := api_cascade,api_mentor_collab,api_nudging,logit_logit_contrastive,logit_logit_fusion
ALIKE := weight_slerp,weight_average
LINEAGE := weight_expo,logit_logit_contrastive
ADAPTED := weight_average,weight_lorahub,weight_model_swarms,text_slm_mux

compared: $(VENV)/installed
	$(BIN)/moco compare --methods=all --tasks=tiny_mix,tiny_choice --models=$(EXPERTS) --seeds=1,2,3 \
	  --out=$(COMPARED)/experts --html=$(COMPARED)/experts.html \
	  --set 'api_prompt_routing.model_descriptions=$(DESCRIPTIONS)' $(GIVEN)
	$(BIN)/moco compare --methods=$(TWICE) --tasks=tiny_mix --models=tiny:base,tiny:large --seeds=1,2,3 \
	  --out=$(COMPARED)/pair --html=$(COMPARED)/pair.html
	$(BIN)/moco compare --methods=$(ALIKE) --tasks=tiny_mix --models=tiny:math,tiny:words --seeds=1,2,3 \
	  --out=$(COMPARED)/alike --html=$(COMPARED)/alike.html
	$(BIN)/moco compare --methods=$(LINEAGE) --tasks=tiny_mix --models=tiny:base,tiny:tuned --seeds=1,2,3 \
	  --out=$(COMPARED)/lineage --html=$(COMPARED)/lineage.html
	$(BIN)/moco compare --methods=$(ADAPTED) --tasks=tiny_mix --seeds=1,2,3 \
	  --models=tiny:math-lora,tiny:words-lora,tiny:facts-lora \
	  --out=$(COMPARED)/adapters --html=$(COMPARED)/adapters.html

comparison: compared
	$(BIN)/python experiments/fill_comparison_page.py --results=$(COMPARED) --page=docs/comparison.md
	$(BIN)/python experiments/measure_merging.py --page=docs/levels/weight.md

readme: $(VENV)/installed
	$(BIN)/python experiments/fill_readme.py

golden: demo compared
	$(BIN)/python experiments/check_golden.py --part=demo --results=$(DEMO)
	$(BIN)/python experiments/check_golden.py --part=comparison --results=$(COMPARED)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "moco_jax needs Python 3.11 or newer, and '$(PYTHON)' is not on this machine."; \
	  echo "On Debian: apt-get install python3 python3-venv   (or: make PYTHON=python3.12 ...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "moco_jax needs Python 3.11 or newer; '$(PYTHON)' is `$(PYTHON) --version 2>&1`."; \
	  echo "Name a newer one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments."; \
	  echo "On Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# One stamp per set of extras, so that nothing is installed twice and setup.py's changes are seen.
$(VENV)/installed: setup.py | $(VENV)/bin/python
	@echo "Installing moco_jax and the libraries it needs into $(VENV); this takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[lint]"
	@touch $@

$(VENV)/installed-parity: $(VENV)/installed-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[parity,chem,language,math]"
	@touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .mypy_cache .import_linter_cache $(DEMO)
