# Everything a person types. `make demo` and `make test` need python3, python3-venv, git and make, nothing else.
PYTHON ?= python3
VENV := .venv
FLYWEIGHT := $(VENV)/bin/flyweight
ROOMS := contracts models export service loadtests flyweight
INSTALLED := $(VENV)/.installed

.PHONY: help setup demo serve test lint docs audit bench bench-catalog bench-promotion bench-search growth overload soak chaos freshness loadtest memory quality protocols image image-test lock chart clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(INSTALLED)  ## make .venv and install everything into it

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 13) else f"flyweight needs Python 3.11 or 3.12, found {v.major}.{v.minor}; say make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --editable '.[train,loadtest,bench,dev]'
	@touch $@

demo: $(INSTALLED)  ## the whole journey on a sample log, then serve it (EXIT=1 stops at the end)
	@EXIT=$(EXIT) ./demo.sh

serve: $(INSTALLED)  ## serve the promoted artifact in the foreground (PORT, REDIS_URL, FLYWEIGHT_HOST, FLYWEIGHT_STATE)
	@exec $(FLYWEIGHT) serve

test: $(INSTALLED)  ## the whole test suite (LOGS=FOLDER also reads the real logs in it)
	@LOGS=$(LOGS) $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)  ## style, and who may import whom
	@$(VENV)/bin/ruff check $(ROOMS) tests
	@$(VENV)/bin/ruff format --check $(ROOMS) tests
	@$(VENV)/bin/lint-imports

docs: $(INSTALLED)  ## write docs/configuration.md and the pictures of docs/architecture.md anew
	@$(VENV)/bin/python -m flyweight.configuration_page
	@$(VENV)/bin/python docs/pictures/draw_architecture.py

audit: $(INSTALLED)  ## known vulnerabilities of what is installed (needs the network; unreachable means not audited)
	@VENV=$(VENV) ./.ci/audit

bench: $(INSTALLED)  ## this service beside FastAPI, plain BentoML, bare ASGI, onnxruntime (BEFORE=REVISION: beside that; needs wrk)
	@$(VENV)/bin/python -m loadtests.peers.$(if $(BEFORE),versions $(BEFORE),bench)

bench-search: $(INSTALLED)  ## our block search beside ScaNN, FAISS, usearch (RUN, SPLIT; METHODS=NAME,NAME; needs the extra search)
	@PYTHONPATH=. OMP_NUM_THREADS=1 $(VENV)/bin/python tests/quality/searching.py $(RUN) $(SPLIT)
bench-catalog: $(INSTALLED)  ## learned embeddings over 10,000 to 10 million items, made and served (SIZES=N,N; FOLDER; needs wrk; hours)
	@$(VENV)/bin/python -m loadtests.peers.catalog $(if $(SIZES),--sizes $(SIZES)) $(if $(FOLDER),--folder $(FOLDER))

bench-promotion: $(INSTALLED)  ## heads of these catalogs promoted under load: failures, slowest answer, memory (SIZES=N,N; FOLDER)
	@$(VENV)/bin/python -m loadtests.peers.promotions $(if $(SIZES),--sizes $(SIZES)) $(if $(FOLDER),--folder $(FOLDER))

growth: $(INSTALLED)  ## requests a second against catalog, history, connections, workers, as pictures (needs wrk; 25 min)
	@$(VENV)/bin/python -m loadtests.peers.growth

overload: $(INSTALLED)  ## goodput and latency at one to five times the capacity (8 min)
	@$(VENV)/bin/python -m loadtests.peers.overload

soak: $(INSTALLED)  ## ten minutes of load: memory flat, no answer lost, none late? (needs wrk)
	@$(VENV)/bin/python -m loadtests.peers.soak

chaos: $(INSTALLED)  ## Redis and workers killed, frozen, slowed, flushed; artifacts damaged: what is lost? (ROWS=NAME,NAME; 10 min)
	@$(VENV)/bin/python -m loadtests.chaos $(if $(ROWS),--rows $(ROWS))

freshness: $(INSTALLED)  ## how soon an event shows in the next answer, at 500 requests/s and 100 events/s
	@$(VENV)/bin/python -m loadtests.chaos --rows no-fault

loadtest: $(INSTALLED)  ## load the service that runs at PORT and hold it against the SLO (TRAFFIC=FILE; UI=1: in the browser)
	@$(if $(UI),$(VENV)/bin/locust -f loadtests/scenarios/server.py -u 1 -H http://127.0.0.1:$(or $(PORT),3000),$(FLYWEIGHT) loadtest) $(if $(TRAFFIC),--traffic $(TRAFFIC))

memory: $(INSTALLED)  ## what Redis takes for a million users, and for the ids of a million events (2 min)
	@PYTHONPATH=. $(VENV)/bin/python tests/quality/memory.py

quality: $(INSTALLED)  ## the journey on the real logs under LOGS, beside an independent library
	@$(VENV)/bin/python tests/quality/walk.py $(LOGS)

protocols: $(INSTALLED)  ## leave-one-out and every-prefix, as published, on the logs under LOGS
	@$(VENV)/bin/python tests/quality/protocols.py $(LOGS)

image: $(INSTALLED)  ## the container image with the promoted artifact (BACKEND, BASE_IMAGE, BUILD_IMAGE, BUILD_OPTS, IMAGE)
	@./deploy/image/build

image-test: $(INSTALLED)  ## build the image for real, use it, measure its size and start (podman or docker; 3 min)
	@[ -e bundle/promoted ] || EXIT=1 ./demo.sh
	@PYTHONPATH=. $(VENV)/bin/python -m tests.image.walk

lock: $(INSTALLED)  ## lock the image's packages with their hashes, and write its SBOM (UPGRADE=1: the newest that fit)
	@./deploy/image/lock

chart:  ## alert rules and dashboard into the Helm chart, which reads no file outside itself
	cp deploy/prometheus/rules.yml deploy/grafana/dashboard.json deploy/kubernetes/flyweight/files/

clean:  ## remove what the journey wrote; the log and .venv stay
	rm -rf artifacts runs reports bundle build .flyweight
