# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

SCENARIO ?= circuit_cut
ROUNDS ?= 10

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: ## install what is missing: system packages, .venv, the collection's path
	@scripts/setup

.PHONY: drill
drill: site ## the lab up, then a drill (SCENARIO=circuit_cut), its verdict and its report
	ansible-playbook scenarios/$(SCENARIO)/drill.yml

.PHONY: test
test: setup ## lint to sanity, then lab-test and two scenarios on a lab made anew
	@scripts/test lint unit contract sanity lab-down lab-test scenarios

.PHONY: lint
lint: setup ## style, types, shell scripts, playbooks, changelog
	@scripts/lint

.PHONY: unit
unit: setup ## the unit tests
	pytest --numprocesses auto

.PHONY: contract
contract: setup ## the back-ends against real peers on loopback
	pytest --numprocesses auto --durations 12 -m "not soak" tests/contract

.PHONY: sanity
sanity: setup ## ansible-test sanity
	@scripts/sanity

.PHONY: lab-test
lab-test: site ## end-to-end tests in the lab
	pytest --durations 12 -m "lab and not soak" tests/lab

.PHONY: molecule
molecule: site scenarios ## the scenarios with their checks, against the lab, but for those that take minutes
	python scripts/run_scenarios.py lossy_circuit route_override

# For a lab that is configured already.
.PHONY: scenarios
scenarios: setup
	ansible-playbook playbooks/storage.yml
	python scripts/run_scenarios.py circuit_cut hiroshima_isolated

.PHONY: lab-up
lab-up: setup ## start the lab; nothing happens when it is up
	ansible-playbook playbooks/lab_up.yml

.PHONY: site
site: lab-up ## start the lab and configure its nodes
	ansible-playbook playbooks/site.yml

.PHONY: lab-down
lab-down: setup ## stop the lab
	ansible-playbook playbooks/lab_down.yml

.PHONY: lab-status
lab-status: setup ## what of the lab is up
	ansible-playbook playbooks/lab_status.yml

.PHONY: agents
agents: site ## resident agents at each host, with a store for their leases, on the lab
	ansible-playbook playbooks/agents.yml

.PHONY: bench
bench: setup ## measure against the figures to beat; what needs no lab first, while none takes a processor
	python tests/bench/targets.py
	python tests/bench/dispatch.py
	python tests/bench/agents.py
	python tests/bench/detection.py
	python tests/bench/bulk.py
	python tests/bench/logpool.py
	-ansible localhost -m include_role -a name=okiagari.testbed.guest_image
	python tests/bench/checkpoints.py
	$(MAKE) site
	python tests/bench/bench.py

.PHONY: soak
soak: site ## 200 random kill points, 20,000 partitions, 50 storms, 100 killed agents, 1,600 restored epochs, 200 power cuts, the long tests, and two drills ROUNDS=10 times each; stops at the first that fails
	python tests/contract/kill_points.py --rounds 200
	python tests/contract/partition_schedules.py --rounds 20000
	python tests/contract/storms.py --rounds 50
	python tests/contract/agent_damage.py --kills 100
	EPOCHS=200 pytest tests/contract/test_checkpoints.py tests/contract/test_captured_machines.py -k "every_epoch or goes_on_with"
	pytest --durations 12 -m soak tests/contract
	CUTS=100 pytest tests/lab/test_power_cuts.py
	pytest --durations 12 -m "lab and soak" tests/lab
	python scripts/run_scenarios.py lossy_circuit route_override every_class chain_of_events overloaded_host site_dark agent_election site_lost site_routed split_quorum relay_only election_storm lossy_ship split_available servers_follow_demand
	ansible-playbook playbooks/storage.yml
	python scripts/run_scenarios.py controller_killed nagoya_otemachi_loss
	for drill in $(SCENARIO) hiroshima_isolated; do \
	  for round in $$(seq $(ROUNDS)); do \
	    echo "$$drill, round $$round of $(ROUNDS)"; \
	    ansible-playbook scenarios/$$drill/drill.yml; \
	  done; \
	done

.PHONY: clean
clean: ## remove what was made here, except reports; stop the lab first
	rm -rf .venv .collections .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
