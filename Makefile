# make repro: from a clone to the paper's pipeline.   make check: in a minute.   make test: everything is checked.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MPLBACKEND := agg

.PHONY: repro experiments check test supported docs wheel env demo picture bench readme notebooks merge-driver clean

repro: env ## run the pipeline on bundled photographs; ends with the table of results
	-@$(UNMINDED)
	dvc repro
	@cat figures/table.md && echo && cat figures/table2.md && echo
	@for folder in figures executed results; do echo "$$folder: $(CURDIR)/$$folder"; done

experiments: env ## main, this folder and every experiment: their metrics, and the parameters in which they differ
	dvc exp show --only-changed --drop '.*/|.*\.txt' --no-pager

check: env ## before a commit, in under a minute: ruff, notebooks clean and exported, the quick tests
	ruff check
	OMP_NUM_THREADS=1 pytest -q -n 2 -m 'not slow and not browser'

test: env ## exported package matches the notebooks; notebooks, pipeline and faults are tested
	ruff check
	nbdev_export && git diff --exit-code --stat -- hi3_nb
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile # two workers of one thread each: a worker is not to wait for the other

# Without the tools of `make env` and their pins: what the package itself promises. Also: RESOLUTION=highest PYTHON=python3.13
RESOLUTION ?= lowest-direct
supported: BARE := build/$(RESOLUTION)
supported: ## the tests that need no tool of ours, with the oldest libraries that pyproject.toml allows
	uv venv --quiet --clear --python $(PYTHON) $(BARE)
	uv pip install --quiet --python $(BARE) --resolution $(RESOLUTION) -r pyproject.toml --extra train
	uv pip install --quiet --python $(BARE) -r pyproject.toml --extra train --extra photos pytest
	PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 $(BARE)/bin/python -m pytest -q

docs: env ## the site in _docs/, from stored outputs; nothing is executed
	$(BIN)/python scripts/docs.py

wheel: env ## the wheel in dist/, tried in an empty environment
	rm -rf build dist
	$(BIN)/uv build --quiet --wheel
	$(BIN)/python scripts/wheel.py

# voila.json: files of up to 200 MB. A page that is closed ends its kernel: it asks for that without a token, and is let.
# Should that fail, the kernel ends after five minutes without a page.
demo: env ## in the browser: what may happen to a marked picture, and what is still recovered?
	voila nbs/demo.ipynb

picture: env ## docs/images/demo.jpg, the demo as a browser shows it
	$(BIN)/python scripts/demo.py

bench: env ## time training, attacks and JPEG on this machine
	$(BIN)/python -c 'from hi3_nb.benchmarks import benchmarks; benchmarks()'

readme: env ## README.md from nbs/index.ipynb
	$(BIN)/python scripts/readme.py

notebooks: env ## run every notebook again and keep its pictures
	cd nbs && env -u MPLBACKEND jupyter nbconvert --to notebook --execute --inplace [0-9]*.ipynb demo.ipynb faq.ipynb index.ipynb
	nbdev_clean
	$(BIN)/python scripts/photographs.py nbs/*.ipynb

merge-driver: env ## conflicts in a notebook become cells that Jupyter can show; in this clone alone
	git config --local merge.nbdev-merge.name "notebooks, by nbdev"
	git config --local merge.nbdev-merge.driver "$(BIN)/nbdev_merge %O %A %B %P"

# The quick pipeline rewrites its lock and its metrics on every machine; git is told not to mind, so that its status is
# clean. `dvc exp run` takes this back: it commits both to the experiment, and leaves them changed like the parameters.
UNMINDED = git update-index --skip-worktree dvc.lock results/metrics.json
env: $(VENV)/.made
$(VENV)/.made: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(VENV) --no-deps -e .
	-$(UNMINDED)
	touch $@

clean: ## remove what the pipeline made
	rm -rf data/prepared runs results/[!m]* figures executed # but not results/metrics.json
