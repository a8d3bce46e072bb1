# Copyright (c) 2026, Okiagari contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin `drill`; there is nothing to run on a target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill
short_description: Breaks the network on purpose, watches it, and proves that it got back up
version_added: 0.1.0
author:
  - Okiagari contributors (@okiagari)
description:
  - Runs one drill, which is a hypothesis, traffic, a timeline of faults, and probes.
  - Every fault is armed on its target with its own end before it begins, so that it goes away by itself whatever
    happens to the controller, to Ansible or to the network between.
  - A failing probe of the phase C(before) means that nothing is injected at all.
  - The state of every node is compared before and after; a difference is a verdict of its own.
  - It is aborted before anybody is contacted if it may not run now, which the testbed's C(drills), the files in the
    folder that the variable C(testbed_consent) names, and the file C(STOP) in O(reports) decide.
  - One drill runs on a testbed at a time.
  - The task fails unless the verdict is C(held). Enable the callback P(okiagari.testbed.verdict#callback) to have
    C(ansible-playbook) leave with the drill's exit code.
options:
  name:
    description: What the drill is called. Its reports are kept under this name.
    type: str
    required: true
  title:
    description: A line for the report's head; made from O(name) if absent.
    type: str
  hypothesis:
    description: What ought to hold, in a sentence for people.
    type: str
    required: true
  traffic:
    description: Streams of numbered packets that run during the whole drill, both ways.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the stream is called.
        type: str
        required: true
      between:
        description: The two nodes.
        type: list
        elements: str
        required: true
      rate:
        description: Packets a second, each way, from 1 to 1000.
        type: int
        default: 100
  writers:
    description:
      - Writers that work during the whole drill. Each writes records to a file, and notes which ones were acknowledged.
      - A file that is there already is only written over if a writer has made it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the writer is called.
        type: str
        required: true
      node:
        description: The node that it works on.
        type: str
        required: true
      path:
        description: The file.
        type: str
        required: true
      rate:
        description: Records a second, from 1 to 1000; fewer where the storage is slower.
        type: int
        default: 10
      size:
        description: Bytes of a record, up to C(16mib).
        type: str
        default: 4kib
  timeline:
    description:
      - The faults, each with C(at), C(for), C(fault) and the place where it stands.
      - C(link_down) and C(loss) stand on a C(circuit), at both ends or only at the end C(from); on all circuits of a
        C(site), at its end; or on the C(interface) of a C(node). C(loss) has a C(percent), and strikes what leaves that
        end.
      - A fault may come again (C(every) and C(times), or C(flap)), change (C(ramp)), wait for an event (C(when)), or
        stand where chance has it (C(one_of)); C(parallel) has several faults with a common time.
      - C(route_override) sends what the C(node) has for C(to), a site, node or prefix, by way of the neighbour C(via).
        C(route_blackhole) drops it.
      - C(power_cut), C(reboot) and C(pause) take a C(node), or its guest C(machine), its power, at once or in order, or
        freeze it; C(site_down) takes a whole C(site) its power. What gives a node its power is in its variable
        C(okiagari_power).
      - A node on which nothing can run, such as a router with VyOS, has its faults made by the controller. How it is
        reached is in its variable C(okiagari_device), or C(vyos).
    type: list
    elements: dict
    default: []
  probes:
    description:
      - What is asserted, each with a C(phase) and exactly one check. A node is asked with C(ping), C(path), C(tcp),
        C(http), C(dns), C(throughput), C(route), C(bgp), C(bfd), C(storage), C(readback), C(command), C(check),
        C(service) and C(file); C(traffic) and C(writes) are measured.
      - Questions may be asked several times (C(tries), C(every), C(tolerate), C(deadline)), or all the time.
      - A probe of the phase C(on_fault) with C(stop) ends the drill if it doesn't hold.
      - The phases are C(before), C(on_fault) (at the instant C(at)), C(continuous), C(recover_within) (C(within) a
        time) and C(after).
    type: list
    elements: dict
    default: []
  expects_isolated:
    description: The sites that the drill means to cut off. No other site may be isolated at any instant.
    type: list
    elements: str
    default: []
  expects_no_majority:
    description:
      - Whether the drill means to leave no majority of the storage's members together, so that nobody can write.
      - Otherwise such a timeline is refused once the targets have been asked whether they are members.
    type: bool
    default: false
  watch:
    description: How long traffic is watched after the last fault has ended.
    type: str
    default: 10s
  recover_timeout:
    description: How long the network may take to be as before.
    type: str
    default: 30s
  budget:
    description:
      - How slow a run may be. One that is over any limit has failed.
    type: dict
    suboptions:
      outage:
        description: The longest silence of any stream from the first injection on. Needs O(traffic).
        type: str
      restored:
        description: The time from the last undo until everything was as before.
        type: str
      arm:
        description: The time to arm all targets.
        type: str
      skew:
        description: The largest difference between asked and actual instant of any injection or undo.
        type: str
  seed:
    description:
      - What the timeline leaves to chance (C(one_of)) is chosen by it, from 0 to 999999999.
      - The variable C(drill_seed) goes before it. Without either it is drawn anew for each run, and told in its report.
    type: int
  reports:
    description:
      - Where reports go. A relative one is taken from the nearest directory above the playbook with an C(ansible.cfg).
    type: path
    default: reports
  testbed:
    description: The resolved testbed; by default the variable C(testbed) that the inventory plugin gives.
    type: dict
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Reads the drill, computes the blast radius, and shows each target's program and whether it may run now.
        Contacts nobody.
  diff_mode:
    description: Gives the plan as a diff in check mode.
    support: partial
    details:
      - Outside check mode there is nothing to show, because everything is as before.
seealso:
  - plugin: okiagari.testbed.verdict
    plugin_type: callback
"""

EXAMPLES = r"""
- name: Run the drill
  okiagari.testbed.drill:
    name: circuit_cut
    hypothesis: Traffic between Hiroshima and Kanazawa is back within 1 s over another path.
    traffic:
      - {name: hiroshima-kanazawa, between: [hiroshima-kvm1, kanazawa-kvm1], rate: 100}
    timeline:
      - {at: 5s, for: 20s, fault: link_down, circuit: hiroshima-kanazawa}
    probes:
      - {phase: before, ping: {from: hiroshima-kvm1, to: kanazawa-kvm1}}
      - {phase: recover_within, within: 1s, traffic: hiroshima-kanazawa}
      - {phase: on_fault, at: 15s, path: {from: hiroshima-kvm1, to: kanazawa-kvm1, avoid: hiroshima-kanazawa}}
      - {phase: after, path: {from: hiroshima-kvm1, to: kanazawa-kvm1, via: hiroshima-kanazawa}}
"""

RETURN = r"""
verdict:
  description: V(held), V(failed), V(aborted), V(not_restored), V(infrastructure) or V(nothing_tested).
  type: str
  returned: when not in check mode
  sample: held
exit_code:
  description: The verdict as an exit code, from 0 to 5.
  type: int
  returned: when not in check mode
  sample: 0
summary:
  description: What happened, in one sentence.
  type: str
  returned: when not in check mode
  sample: "Held: the longest outage was 212 ms; everything is as before."
reason:
  description: Why not held, one sentence for each reason.
  type: list
  elements: str
  returned: when not in check mode
restored:
  description: Whether everything is as it was before the drill; null if that isn't known.
  type: bool
  returned: when not in check mode
outage_ms:
  description: The longest silence of any stream from the first injection on; null without streams.
  type: float
  returned: when not in check mode
  sample: 212.0
timing:
  description: How long arming and restoring took, and the largest deviation from an asked instant, in ms.
  type: dict
  returned: when the drill began
report:
  description: The directory of the report; null if the drill could not begin.
  type: str
  returned: when not in check mode
  sample: /home/me/testbed/reports/circuit_cut/20261121T120000Z
plan:
  description: The program of each target.
  type: dict
  returned: in check mode
seed:
  description: What the timeline leaves to chance was chosen by it; also in the report.
  type: int
  returned: in check mode
  sample: 4711
refused:
  description: All that stands against running it now; see the windows, blackouts and consent of the testbed.
  type: list
  elements: str
  returned: always
"""
