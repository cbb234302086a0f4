# The only entry: CI calls this and nothing else.
#
#   make demo           try it: two domains, two bobs, SMTP in, POP3 out; needs no root, only Python
#   make run            the same, and it stays up
#   make check          install what the tests need (Debian, as root) and run them all
#   make setup          install into VQHOME, as root;  make setup check-setup proves it
#   make bench          measure against Postfix on this machine, as root
#   make lint test man bin wheel clean

PYTHON ?= python3
VQHOME ?= /var/vqmail
VENV := .venv
PY := $(VENV)/bin/python
TESTS ?= tests

.PHONY: demo run check lint test setup check-setup bench man bin wheel clean debian

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vqmail needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check $(shell $(PYTHON) -c 'import tomllib; print(*("\"" + each + "\"" for each in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))')
	touch $@

$(VENV)/.dev: $(VENV)/.ready
	$(PY) -m pip install --quiet --disable-pip-version-check $(shell $(PYTHON) -c 'import tomllib; print(*("\"" + each + "\"" for each in tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["dev"]))')
	touch $@

demo: $(VENV)/.ready
	$(PY) -m vqmail.setup.demo

run: $(VENV)/.ready
	$(PY) -m vqmail.setup.demo --stay

setup: $(VENV)/.ready
	$(PY) -m vqmail.setup $(VQHOME)

check-setup: $(VENV)/.ready
	$(PY) -m vqmail.setup --check $(VQHOME)

debian:
	sh tests/install-peers

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check vqmail
	$(VENV)/bin/mypy

test: $(VENV)/.dev
	$(PY) -m pytest -q -n 2 --dist loadfile --basetemp=$$(mktemp -d)/tests $(TESTS)

check: debian lint test

bench: $(VENV)/.dev
	$(PY) bench/run.py

man: $(VENV)/.ready
	$(PY) -m vqmail.setup.man man

# a program of the source tree that runs where it lies, for each module of vqmail/prog
bin: $(VENV)/.ready
	$(PY) -c 'import pathlib; from vqmail.setup import install; install.write_tree(pathlib.Path("bin"))'

wheel: $(VENV)/.ready
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) instance build dist *.egg-info
