# The short commands of this project, the same on a laptop and in CI. They need make and Python 3.11 or
# newer; with uv they are faster. ARGS goes to the command behind the target: make test ARGS="-k drain".
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z][a-z0-9-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST))) # every target but the stamps

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.runtime ## Serve on 127.0.0.1:8080, with SQLite in one file
	@$(BIN)/collector serve $(ARGS)

image: ## Build the image of every role, as IMAGE (collector:latest) and under its published name; needs Docker
	docker build $(build-args) --tag $(IMAGE) --tag $(published):$(version) $(ARGS) .

publish: ## Build the image for amd64 and arm64, with SBOM and provenance, and push it; for a release
	@mkdir -p dist
	docker buildx build $(build-args) --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max \
	  --tag $(published):$(version) --push --metadata-file dist/image.json $(ARGS) .

chart: ## Package the chart (deploy/helm/collector) in dist; needs Helm
	$(need-helm)
	@$(HELM) package deploy/helm/collector --destination dist

chart-push: chart ## Package the chart and push it to CHARTS, an OCI registry; dist/chart.txt says what was pushed
	@$(HELM) push dist/collector-$(version).tgz $(CHARTS) $(ARGS) >dist/push.txt 2>&1; status=$$?; cat dist/push.txt; exit $$status
	@sed -n 's|^Digest: |$(CHARTS:oci://%=%)/collector@|p' dist/push.txt >dist/chart.txt
	@test -s dist/chart.txt

chart-docs: .venv/.dev ## Make the table of values in the chart's README, from its values.yaml
	@$(BIN)/python -m tests.kube.chart_docs

version: ## Print the version
	@echo $(version)

published: ## Print the name that the image is published under
	@echo $(published)

up: image ## Start everything in containers, wait for it, and print where it is (deploy/compose); needs Docker
	@cd deploy/compose && docker compose up --no-build --detach --wait $(ARGS)
	@deploy/compose/narrate
	@cd deploy/compose && for service in nginx collector; do docker compose port $$service 8080 2>/dev/null && break; done | \
	  sed 's|^|The collector: http://|'

down: ## Stop what `make up` has started; its data stays (ARGS=--volumes deletes it)
	@cd deploy/compose && docker compose --profile '*' down --remove-orphans $(ARGS)

k3d: ## Start a Kubernetes on this machine with everything in it (deploy/k8s); needs Docker, k3d and kubectl
	@deploy/k8s/overlays/k3d/up

test: .venv/.dev ## Run the tests (ARGS="-k drain" chooses some, WITHOUT=tests/kube all but these)
	@$(BIN)/$(if $(ARGS),pytest $(ARGS),python -m tests $(WITHOUT))

check: .venv/.dev ## Lint, format, types, and the project's own rules: locks, imports, names
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -q --noconftest tests/checks

check-deploy: .venv/.dev ## Render and check every manifest, the chart and argocd; builds the tools for it in .tools, needs Go
	@$(BIN)/python -m tests.kube $(ARGS)

check-terraform: .venv/.dev ## Check and test terraform/, with mocks and for real; builds its tools in .tools, needs Terraform
	@$(BIN)/python -m tests.terraform $(ARGS)

fuzz: .venv/.dev ## Send hostile requests without end to a real collector (ARGS="--cases 100000 --seed 1")
	@$(BIN)/python -m tests.hostile.fuzz $(ARGS)

bench: .venv/.dev ## Measure the collector beside its peers; needs wrk (ARGS=--short: some minutes, not an hour)
	@$(BIN)/python -m tests.bench $(ARGS)

drills: .venv/.dev ## Break everything under load, and judge by `collector probe` (ARGS=--short: two minutes)
	@$(BIN)/python -m tests.drills $(ARGS)

drills-compose: .venv/.dev ## The same with deploy/compose: kill, roll out, reboot (ARGS=--short); needs Docker
	@$(BIN)/python -m tests.drills --rig compose $(ARGS)

drills-teeth: .venv/.dev ## Plant eight bugs: a drill has to notice each (ARGS=--control, ARGS="--rig compose")
	@$(BIN)/python -m tests.drills.teeth $(ARGS)

rollouts: .venv/.dev ## Roll out and undo the Deployment 20 times under load, here or on KUBECONFIG's cluster (ARGS=--short: 3)
	@$(BIN)/python -m tests.rollouts $(ARGS)

rollouts-teeth: .venv/.dev ## Take four guarantees out of the manifests: requests have to fail (ARGS=--control)
	@$(BIN)/python -m tests.rollouts.teeth $(ARGS)

pictures: .venv/.dev ## Take the pictures of the timeline in docs again; needs a Chromium
	@$(BIN)/python -m tests.browser.pictures

format: .venv/.dev ## Format the code and mend what the linter can mend
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

install: .venv/.dev ## Bring .venv up to date, for an editor

# The dev lock comes first: it has everything, so the runtime lock can always follow its versions.
lock: ## Pin the dependencies of pyproject.toml (ARGS=--upgrade: the newest of each); needs uv
	$(need-uv)
	@$(compile) --group dev --output-file requirements-dev.txt $(ARGS)
	@$(compile) --group build --constraints requirements-dev.txt --output-file requirements.txt $(ARGS)

audit: ## Look for known vulnerabilities in what is pinned (exit code 2: nobody who knows answers); needs the network
	$(need-python)
	@$(PYTHON) -m tests.audit $(ARGS)

workflows: .venv/.dev ## Check .github/workflows with actionlint and zizmor; needs Go
	@go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	@$(BIN)/zizmor --offline --quiet .github/workflows

clean: ## Remove .venv, .tools, caches and builds; data stays
	@rm -rf .venv .tools .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

IMAGE ?= collector:latest
of-pyproject = $(shell sed -n 's/^$(1) = "\(.*\)"$$/\1/p' pyproject.toml)
version = $(call of-pyproject,version)
published = $(call of-pyproject,image)
CHARTS ?= oci://$(dir $(published))charts
# Any Helm packages and pushes; the one that the chart is checked with comes first, if `make check-deploy` built it.
HELM ?= $(firstword $(wildcard .tools/bin/helm-*/helm) helm)
revision = $(shell git rev-parse HEAD 2>/dev/null)
build-args = --build-arg VERSION=$(version) --build-arg REVISION=$(revision) --build-arg SOURCE=$(call of-pyproject,Repository)

# A stamp is touched last, so an install that broke off is done again. The dev lock holds the runtime's
# versions too: whoever has installed it needs no second install to run.
.venv/.runtime: requirements.txt pyproject.toml
	$(call install,requirements.txt)
	@touch $@

.venv/.dev: requirements-dev.txt pyproject.toml
	$(call install,requirements-dev.txt)
	@touch $@ .venv/.runtime

define install
$(if $(call succeeds,$(BIN)/python -c '$(usable)'),,@$(new-venv))
@echo "Installing $(1) in .venv"
@$(pip-install) --require-hashes --requirement $(1)
@$(pip-install) --no-build-isolation --no-deps --editable .
endef

# A .venv that works is kept, whoever made it.
recent := import sys; sys.exit(sys.version_info < (3, 11))
usable = $(if $(uv),,import pip; )$(recent)
new-venv = $(if $(call succeeds,$(PYTHON) -c '$(recent)'),$(if $(uv),$(venv-by-uv),$(venv-by-python)),$(error $(too-old)))
venv-by-uv = uv venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
venv-by-python = $(if $(call succeeds,$(PYTHON) -c 'import ensurepip'),$(PYTHON) -m venv --clear .venv,$(error $(no-venv)))
pip-install = $(if $(uv),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip --disable-pip-version-check install --quiet)
compile = uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

too-old = Python 3.11 or newer is needed and $(PYTHON) is $(or $(shell $(PYTHON) -V 2>/dev/null),not there): name another, as in make run PYTHON=python3.13
no-venv = $(PYTHON) cannot make virtual environments: apt install $(shell $(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])') (or install uv)
need-python = $(if $(call succeeds,$(PYTHON) -c '$(recent)'),,$(error $(too-old)))
need-helm = $(if $(call succeeds,$(HELM) version),,$(error This needs Helm: https://helm.sh/docs/intro/install))
need-uv = $(if $(uv),,$(error This needs uv: pipx install uv))

uv = $(call succeeds,uv --version)
succeeds = $(shell { $(1); } >/dev/null 2>&1 && echo yes)
