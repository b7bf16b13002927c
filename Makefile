# Two commands to know: `make report` shows what meshlogs does, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= report
# Recordings of other people's clusters, where a maintainer has them; the tests say so when they are absent.
RECORDINGS := $(abspath $(firstword $(MESHLOGS_RECORDINGS) $(wildcard ../shared/real)))
# As pip does with packages that are not editable; else each process may have to.
COMPILE = $(BIN)/python -m compileall -q meshlogs

.PHONY: report test accuracy bench notebooks screenshots constraints clean

$(VENV)/.ready: pyproject.toml constraints.txt setup.py $(wildcard meshlogs/*.pxd meshlogs/*.pyx meshlogs/*/*.pyx)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "meshlogs needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[notebook,test]'
	$(COMPILE)
	touch $@

report: $(VENV)/.ready
	$(BIN)/meshlogs report sample_data/fleet --out $(OUT)

# Tests are run without plug-ins that they do not need and each worker would load.
test: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	MESHLOGS_RECORDINGS='$(RECORDINGS)' $(BIN)/python -m pytest --quiet -n 2 --dist worksteal -p no:nbval -p no:anyio -rs
	MESHLOGS_PROGRESS=off $(BIN)/python -m pytest --quiet --nbval --nbval-sanitize-with notebooks/sanitize.cfg notebooks

accuracy: $(VENV)/.ready  ## how often verdicts and intervals are right: docs/ACCURACY.md, docs/COMPARE.md
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/comparison.py

bench: $(VENV)/.ready  ## how fast it reads, against named peers: docs/PERFORMANCE.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(COMPILE)
	$(BIN)/python benchmarks/speed.py

notebooks: $(VENV)/.ready  ## run the notebooks anew and keep what they print
	MESHLOGS_PROGRESS=off $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

screenshots: $(VENV)/.ready  ## take the pictures of the README anew, in a headless Chromium
	mkdir -p docs/img
	MESHLOGS_SCREENSHOTS=docs/img $(BIN)/python -m pytest --quiet tests/browser -k "first_screen or pointing or jupyterlab"

constraints: $(VENV)/.ready
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) report build *.egg-info meshlogs/*.so meshlogs/*/*.so
