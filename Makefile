# make repro: from a clone to the paper's pipeline.   make test: everything is checked.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MPLBACKEND := agg

.PHONY: repro test docs wheel env demo bench readme notebooks clean

repro: env ## run the pipeline on bundled photographs; ends with the table of results
	dvc repro
	@$(BIN)/python -m hi3_nb.figures

test: env ## exported package matches the notebooks; notebooks, pipeline and faults are tested
	ruff check
	nbdev_export && git diff --exit-code --stat -- hi3_nb
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile # two workers of one thread each: a worker is not to wait for the other

docs: env ## the site in _docs/, from stored outputs; nothing is executed
	$(BIN)/python scripts/docs.py

wheel: env ## the wheel in dist/, tried in an empty environment
	rm -rf build dist
	$(BIN)/uv build --quiet --wheel
	$(BIN)/python scripts/wheel.py

demo: env ## sliders in the browser: how strong may an attack be, and what is still recovered?
	voila nbs/demo.ipynb --Voila.tornado_settings="{'websocket_max_message_size': 200_000_000}"

bench: env ## time training, attacks and JPEG on this machine
	$(BIN)/python -m hi3_nb.benchmarks

readme: env ## README.md from nbs/index.ipynb
	$(BIN)/python scripts/readme.py

notebooks: env ## run every notebook again and keep its pictures
	cd nbs && jupyter nbconvert --to notebook --execute --inplace [0-9]*.ipynb demo.ipynb faq.ipynb index.ipynb
	nbdev_clean

# The lock of the quick pipeline is rewritten on every machine; git is told not to mind.
env: $(VENV)/.made
$(VENV)/.made: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(VENV) --no-deps -e .
	-git update-index --skip-worktree dvc.lock
	touch $@

clean: ## remove what the pipeline made
	rm -rf data/prepared runs results figures executed
