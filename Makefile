# Two commands are all that a fresh machine needs (Python 3.10 or newer, make, a package index):
#
#   make book    render the book into _build/html, then train and score a retriever (the demo)
#   make test    run every test and every chapter, comparing each output with the stored one
#
# Both make .venv first when it is missing or requirements changed. PYTHON=... chooses a Python.

BIN := .venv/bin
PY = "$(BIN)/python"
HTML := _build/html
# How every chapter is run: no progress bars in the outputs, no network, no warnings of forks, and one
# thread each, since two run at a time.
QUIET := TQDM_DISABLE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1

.DELETE_ON_ERROR:
.PHONY: book html test lint run serve screenshots repository clean

book: html
	@echo "Training a retriever on real text and scoring it against BM25: about a minute."
	"$(BIN)/contriever-lite" demo

html: $(HTML)/.ready

# Whole, from nothing, whenever a source is newer: half a build can be stale.
$(HTML)/.ready: .venv/ready _config.yml $(wildcard book/*.* book/_static/* book/_extra/*/*) \
		$(wildcard contriever_lite/*.py)
	@echo "Rendering the book from the chapters' stored outputs: under a minute."
	@rm -rf $(HTML) _build/.doctrees
	"$(BIN)/jupyter-book" build book --path-output . --config _config.yml -q -W -n --keep-going
	@touch $@
	@echo "The book is _build/html/index.html."

test: .venv/ready
	@echo "Running the tests and every chapter: up to 20 minutes on two cores."
	$(QUIET) $(PY) -m pytest -n 2 --dist loadscope --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout=900 \
		--cov=contriever_lite --cov-report=term-missing:skip-covered --cov-fail-under=90 \
		tests book

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check contriever_lite tests scripts

# Re-execute one chapter in a fresh kernel and store its outputs: make run CHAPTER=01
run: .venv/ready
	$(QUIET) $(PY) scripts/chapter.py $(CHAPTER)

serve: html
	@echo "The book is at http://localhost:8000 until you press Ctrl-C."
	$(PY) -m http.server --bind 127.0.0.1 --directory $(HTML) 8000

# Every page in light and dark, on a desktop and on a phone, for people to look at.
screenshots: html
	$(PY) scripts/screenshots.py $(HTML) _build/screenshots

# Give the book another public home, everywhere it is named: make repository NAME=owner/name
repository: .venv/ready
	$(PY) scripts/repository.py $(NAME)

.venv/ready: requirements.txt pyproject.toml scripts/environment.sh
	@PYTHON="$(PYTHON)" sh scripts/environment.sh

# Removes what make made, .venv and downloaded data excepted.
clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
