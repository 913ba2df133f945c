"""Checks of the machinery: what it reads, computes and refuses. No proxy is needed; it takes a second or two."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
import tomllib
import unittest
from pathlib import Path

import choices
import counters
import fronts
import gate
import generator
import goals
import load
import machine
import memory
import packages
import processes
import proxies
import report
import rounds
import sidekey
import upstream

WRK = """Running 2s test @ http://127.0.0.1:1/bench/small
  1 threads and 32 connections
Requests/sec:  50000.00
sidekey-bench {"requests":100000,"micros":2000000,"bytes":30500000,"p50_us":600.0,"p99_us":900.0,"mean_us":610.20,"errors":{"connect":0,"read":0,"write":0,"status":%d,"timeout":%d}}
"""
CELL = rounds.Cell("tls", "0.2KiB", 32)


def measured(cpu_us, rate=1000.0, p50_us=100.0, faults=()):
    """A measurement in which only what is named matters."""
    return rounds.Measurement(1000, cpu_us, rate, p50_us, 200.0, 0.9, 10.0, 0, faults)


class Loads(unittest.TestCase):
    """wrk's output and the judgement on it."""

    def test_figures_are_read(self):
        seen = load.parse(WRK % (0, 0))
        self.assertEqual((seen.requests, seen.seconds, seen.p50_us, seen.p99_us), (100000, 2.0, 600.0, 900.0))
        self.assertEqual(seen.faults(205), [])

    def test_an_error_status_makes_a_run_invalid(self):
        self.assertIn("3 answers with an error status", load.parse(WRK % (3, 0)).faults(205))

    def test_a_timeout_makes_a_run_invalid(self):
        self.assertIn("1 timeout errors", load.parse(WRK % (0, 1)).faults(205))

    def test_a_short_answer_makes_a_run_invalid(self):
        self.assertIn("instead of 65536", load.parse(WRK % (0, 0)).faults(65536)[0])

    def test_output_without_figures_is_refused(self):
        for output in ("", "unable to connect", load.MARK + "{", load.MARK + '{"requests":1}'):
            with self.assertRaises(load.NoFigures):
                load.parse(output)


class Rounds(unittest.TestCase):
    """Order, medians, ratios."""

    def test_the_order_turns_every_round(self):
        self.assertEqual([rounds.turned(["a", "b", "c"], by)[0] for by in range(4)], ["a", "b", "c", "a"])

    def test_a_ratio_is_the_median_of_ratios_within_a_round(self):
        # The machine slows down threefold in the second round, for both; the ratio does not notice.
        seen = {CELL: {"a": [measured(10), measured(33), measured(9)], "b": [measured(20), measured(60), measured(20)]}}
        self.assertAlmostEqual(rounds.ratio(seen, CELL, "a", "b", "cpu_us"), 0.5)

    def test_the_middle_half_leaves_outliers_out(self):
        self.assertEqual(rounds.middle_half([1, 2, 3, 4, 50]), (2, 4))

    def test_an_invalid_round_gives_no_ratio_and_no_median(self):
        seen = {CELL: {"a": [measured(10), measured(10, faults=("broken",))], "b": [measured(20), measured(20)]}}
        self.assertIsNone(rounds.ratio(seen, CELL, "a", "b", "cpu_us"))
        self.assertEqual(rounds.summarise(seen[CELL]["a"])["faults"], ["broken"])

    def test_an_absent_proxy_gives_no_ratio(self):
        self.assertIsNone(rounds.ratio({CELL: {"a": [measured(1)]}}, CELL, "a", "b", "cpu_us"))

    def test_the_spread_is_half_the_range(self):
        summary = rounds.summarise([measured(9), measured(10), measured(11)])
        self.assertAlmostEqual(summary["cpu_spread"], 0.1)
        self.assertEqual(summary["cpu_us"], 10)


class Processes(unittest.TestCase):
    """/proc, and the life of a process."""

    def test_a_stat_line_with_a_hostile_name_is_read(self):
        line = "7 (a) b (c) S 3 7 7 0 -1 0 0 0 0 0 11 22 33 44 20 0 1 0 5 6 7"
        self.assertEqual(processes.parse_stat(line), (3, 110))

    def test_a_tree_is_followed_to_its_leaves(self):
        self.assertEqual(processes.descendants(2, {2: 1, 3: 2, 4: 3, 5: 1, 6: 5}), [2, 3, 4])

    def test_the_finer_clock_is_used_unless_it_lost_a_thread(self):
        zero = processes.CpuTime(0.0, 0.0)
        self.assertEqual(processes.elapsed(zero, processes.CpuTime(1.0, 1.004)), 1.004)
        self.assertEqual(processes.elapsed(zero, processes.CpuTime(1.0, 0.5)), 1.0)

    def test_a_process_with_children_is_measured_and_ends_with_all_of_them(self):
        burn = "import os, time\nos.fork()\nend = time.process_time() + 0.15\nwhile time.process_time() < end: pass\n"
        with tempfile.TemporaryDirectory() as folder:
            started = processes.Process("burner", [sys.executable, "-c", burn + "time.sleep(60)"], folder)
            try:
                processes.wait_until(lambda: started.cpu_time().ticks >= 0.3, started)
                self.assertEqual(len(started.tree()), 2)
                self.assertGreater(started.rss_mib(), 1)
                pids = started.tree()
            finally:
                started.stop()
            ended = time.monotonic() + 5
            while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < ended:
                time.sleep(0.01)
            self.assertFalse(any(is_alive(pid) for pid in pids))

    def test_a_process_that_dies_is_reported_with_its_last_words(self):
        with tempfile.TemporaryDirectory() as folder:
            started = processes.Process("short", [sys.executable, "-c", "raise SystemExit('no luck')"], folder)
            with self.assertRaisesRegex(processes.Died, "no luck"):
                processes.wait_until(lambda: False, started)


def is_alive(pid):
    """Whether a process runs; one that ended and was not yet collected by its parent does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False


class Machine(unittest.TestCase):
    """Cores and ports."""

    def test_memory_over_tunnels_counts_only_with_as_many_as_the_goal_names(self):
        self.assertIs(goals.growth_verdict(1.0, goals.TUNNELS).passed, True)
        self.assertIs(goals.growth_verdict(9.0, goals.TUNNELS).passed, False)
        self.assertIsNone(goals.growth_verdict(1.0, 5_000).passed)

    def test_pinning_is_chosen_from_the_cores_we_may_use(self):
        self.assertEqual(machine.choose_pinning("auto", {2, 5, 7}), machine.Pinning(frozenset({2}), frozenset({5})))
        self.assertEqual(machine.choose_pinning("auto", {0}), machine.Pinning(None, None))
        self.assertEqual(machine.choose_pinning("0:1-2", {0, 1, 2}).load, frozenset({1, 2}))
        for wrong in ("0", "0:9", "a:b"):
            with self.assertRaises(ValueError):
                machine.choose_pinning(wrong, {0, 1})

    def test_free_ports_are_different_and_free(self):
        ports = machine.free_ports(3)
        self.assertEqual(len(set(ports)), 3)
        for port in ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))

    def test_the_machine_is_described(self):
        self.assertTrue(machine.describe()["cpu"])


class Configurations(unittest.TestCase):
    """Templates and what is read back from the programs."""

    def test_every_placeholder_of_every_template_is_known(self):
        known = {name: f"<{name}>" for name in ("FOLDER", "PORT", "CONSOLE", "PLAIN", "TLS", "STATUS", "KEY", "NAME",
                                                "SMALL", "ANSWERS", "USER", "FRONT", "BLIND", "FAR", "STREAMS",
                                                "RATE")}
        for template in upstream.TEMPLATES.iterdir():
            if template.suffix != ".lua":
                self.assertNotRegex(upstream.fill(template.name, **known), r"@[A-Z]+@")

    def test_proxy_toml_is_toml_with_as_many_services_as_asked(self):
        values = {"FOLDER": "/x", "PORT": 1, "CONSOLE": 2, "PLAIN": 3, "TLS": 4, "NAME": upstream.NAME}
        for rate in ("", *gate.KINDS.values()):
            text = upstream.fill("sidekey.toml", RATE=rate, **values) + sidekey.filler_tables(50)
            self.assertEqual(len(tomllib.loads(text)["service"]), 50 + len(sidekey.OWN_SERVICES))

    def test_stub_status_is_read(self):
        page = "Active connections: 1 \nserver accepts handled requests\n 12 11 300 \nReading: 0 Writing: 1 Waiting: 0 \n"
        self.assertEqual(upstream.parse_stub_status(page), upstream.Served(connections=11, requests=300))
        with self.assertRaises(ValueError):
            upstream.parse_stub_status("404")

    def test_versions_are_found_in_what_programs_say(self):
        for text, version in (("nginx version: nginx/1.22.1", "1.22.1"), ("sidekey 0.1.0", "0.1.0"),
                              ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://x", "2.6.12-1+deb12u4"),
                              ("envoy  version: 9e5580933/1.40.0/Clean/RELEASE", "1.40.0"),
                              ("wrk debian/4.1.0-3+b2 [epoll]", "4.1.0-3+b2")):
            self.assertEqual(packages.parse_version(text), version)

    def test_the_built_binary_is_found_in_what_cargo_says(self):
        messages = ('{"reason":"compiler-artifact","executable":null}\n'
                    '{"reason":"compiler-artifact","executable":"/t/release/other"}\n'
                    '{"reason":"compiler-artifact","executable":"/t/release/sidekey"}\n'
                    '{"reason":"build-finished","success":true}\n')
        self.assertEqual(packages.built_binary(messages), "/t/release/sidekey")
        here = os.path.relpath(sys.executable)
        self.assertEqual(packages.given("--sidekey", here), str(Path(sys.executable).resolve()))
        for nothing in ("no/such/program", os.path.dirname(__file__)):
            with self.assertRaises(packages.Missing):
                packages.given("--sidekey", nothing)
        self.assertIsNone(packages.built_binary(""))

    def test_instruction_counts_are_read_and_their_absence_too(self):
        self.assertEqual(counters.parse("123456,,instructions:u,1000,100.00,,\n"), 123456)
        self.assertIsNone(counters.parse("<not supported>,,instructions,0,100.00,,\n"))
        self.assertIsNone(counters.parse("0.55,msec,task-clock,550130,100.00\n"))

    def test_instructions_are_read_from_valgrind(self):
        self.assertEqual(gate.parse("events: Ir\nfn=(1)\n12 7\nsummary: 123456\n\ntotals: 123456\n"), 123456)
        self.assertIsNone(gate.parse("events: Ir\n"))

    def test_what_the_gate_costs_is_shown_and_judged(self):
        kinds = {kind: rounds.summarise([measured(cost)] * 3) for kind, cost in (("without", 20.0), ("with", 20.2))}
        ratios, counts = [1.0, 1.01, 1.02], {"without": 50_000.0, "with": 52_000.0}
        verdicts = goals.judge_gate(ratios, counts)
        self.assertEqual([verdict.passed for verdict in verdicts], [True, False])
        self.assertEqual([verdict.passed for verdict in goals.judge_gate([0.96], None)], [False, None])
        text = gate.text({"kinds": kinds, "ratios": ratios}, counts, verdicts)
        for expected in ("20.20", "1.010 ×", "1.040 ×", "MISS"):
            self.assertIn(expected, text)
        self.assertIn("not measured", gate.text({"kinds": kinds, "ratios": ratios}, None, goals.judge_gate(ratios, None)))

    def test_choices_fill_in_and_wrong_ones_are_refused(self):
        self.assertEqual(choices.read(["--quick"]).connections, (1, 32))
        self.assertEqual(choices.read(["--quick", "--rounds", "7"]).rounds, 7)
        self.assertEqual(choices.read([]).filler_keys, goals.MANY_KEYS)
        for name, wrong in (("--proxies", "squid"), ("--rounds", "0"), ("--connections", "1,x"), ("--pin", "9999:0")):
            with self.assertRaises(SystemExit), open(os.devnull, "w") as silence:
                sys.stderr, kept = silence, sys.stderr
                try:
                    choices.read([name, wrong])
                finally:
                    sys.stderr = kept


class Memory(unittest.TestCase):
    """Held clients."""

    def test_whole_answers_are_told_from_parts(self):
        self.assertTrue(memory.is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
        self.assertFalse(memory.is_complete(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"))
        self.assertTrue(memory.is_complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
        self.assertFalse(memory.is_complete(b"HTTP/1.1 200 OK\r\n"))

    def test_held_clients_ask_once_and_stay_open(self):
        with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
            threading.Thread(target=answer_each_once, args=(server, 5), daemon=True).start()
            with memory.HeldClients(server.getsockname()[1], 5) as clients:
                self.assertEqual(clients.ask_once("/"), 4)
                self.assertEqual(clients.still_open(), 4)


def answer_each_once(server, count):
    """Answers each of `count` clients once; the last it hangs up on."""
    held = [server.accept()[0] for _ in range(count)]
    for number, client in enumerate(held):
        client.recv(4096)
        if number == count - 1:
            client.close()
        else:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    time.sleep(5)


class Fronts(unittest.TestCase):
    """Interception: plans, what the generator prints, the verdicts."""

    def setUp(self):
        self.proxy = proxies.Proxy("sidekey", 1, None, 2, 3, "upstream.test:443", Path("/ca.pem"))
        costs = {"nginx": 20.0, "envoy": 30.0, "sidekey": 21.0}
        self.seen = {course: {name: [measured(cost)] * 2 for name, cost in costs.items()} for course in fronts.ALL}

    def test_every_course_has_a_plan_of_its_own(self):
        plans = [json.loads(fronts.argument(self.proxy, course, 1, 1024)) for course in fronts.ALL]
        self.assertEqual(len({json.dumps(plan) for plan in plans}), len(fronts.ALL))
        self.assertEqual(plans[0]["kept"]["door"]["connect"], "upstream.test:443")
        self.assertEqual(plans[-1], {"blind": {"address": "127.0.0.1:3", "bytes": 1024}})

    def test_what_the_generator_prints_is_read_and_silence_too(self):
        printed = ('{"requests":2,"micros":500000,"bytes":410,"p50_us":1.0,"p99_us":2.0,"mean_us":1.5,"resumed":1,'
                   '"errors":{"broken":3}}')
        seen, resumed = generator.parse(printed, "")
        self.assertEqual((seen.requests, seen.seconds, seen.errors, resumed), (2, 0.5, {"broken": 3}, 1))
        with self.assertRaises(load.NoFigures):
            generator.parse("", "Error: no route")

    def test_goals_name_the_best_peer(self):
        verdicts = goals.judge_fronts(self.seen, [30.0, 31.0], 100_000, proxies.PEERS)
        found = {verdict.goal: verdict for verdict in verdicts}
        self.assertEqual(fronts.best(self.seen, fronts.BLIND, proxies.PEERS), "nginx")
        self.assertIs(found["CPU per intercepted request, HTTP/1.1 ÷ nginx"].passed, True)
        self.assertIs(found["CPU per GiB, blind tunnel ÷ best peer (nginx)"].passed, True)
        self.assertIs(found["CPU per tunnel with a resumed session ÷ its own full handshake"].passed, False)

    def test_a_broken_peer_is_never_the_best(self):
        self.seen[fronts.BLIND]["nginx"] = [measured(20.0, faults=("broken",))]
        self.assertEqual(fronts.best(self.seen, fronts.BLIND, proxies.PEERS), "envoy")

    def test_both_forms_of_the_report_have_the_tables(self):
        text = "\n".join(report.front_lines(self.seen, [30.0, 31.0], 100_000, 1024))
        for expected in ("download through a blind tunnel", "CPU ms/GiB", "CPU÷envoy", "30.0, 31.0"):
            self.assertIn(expected, text)
        self.assertEqual(len(json.loads(json.dumps(report.tables(self.seen)))), len(fronts.ALL))


class Reports(unittest.TestCase):
    """Goals and both forms of the report."""

    def setUp(self):
        self.seen = {CELL: {"nginx": [measured(20.0)], "envoy": [measured(60.0, faults=("broken",))],
                            "sidekey": [measured(18.0)]}}
        held = {"keys": 1000, "idle": 20.0, "clients": 5000, "held": 120.0, "asked": 90.0, "answered": 5000,
                "open": 5000}
        self.verdicts = goals.judge(self.seen, {"sidekey": held}, 100_000, [1.02])
        facts = {"machine": machine.describe(), "versions": {"nginx": "1", "envoy": "1", "sidekey": "1"},
                 "left_out": {"haproxy": "absent"}, "measured": ["nginx", "envoy", "sidekey"],
                 "settings": {"pinning": "none", "rounds": 1, "seconds": 1, "intercept_rounds": 1, "tunnels": 1,
                              "download_mib": 1}}
        keys = {"rows": [{"keys": 10, "cpu_us": 1.0, "rate": 2.0, "rss_mib": 3.0}], "ratios": [1.02]}
        self.parts = (facts, self.seen, None, {"sidekey": held}, keys, self.verdicts)

    def test_goals_are_passed_missed_or_not_measured(self):
        passed = {verdict.goal: verdict.passed for verdict in self.verdicts}
        self.assertIs(passed["CPU per request, TLS upstream, 32 connections ÷ nginx"], True)
        self.assertIs(passed["RSS, 5,000 silent clients"], False)
        self.assertIsNone(passed["CPU per request, TLS upstream, 32 connections ÷ Envoy"])
        self.assertIs(passed["CPU per request, 100,000 keys against 10"], True)

    def test_memory_with_dropped_clients_proves_nothing(self):
        held = {"idle": 20.0, "clients": 5000, "held": 20.0, "asked": 20.0, "answered": 5000, "open": 4999}
        verdicts = {verdict.goal: verdict.passed for verdict in goals.judge(self.seen, {"sidekey": held}, None, None)}
        self.assertIsNone(verdicts["RSS, 5,000 silent clients"])
        self.assertIs(verdicts["RSS idle, 1,000 keys"], True)

    def test_a_ratio_goal_shows_where_the_rounds_lie(self):
        verdict = goals.times_at_most("speed", [0.9, 1.0, 1.1, 1.2, 9.0], 1.0)
        self.assertEqual((verdict.found, verdict.passed), ("1.10 × (1.00 to 1.20)", False))

    def test_fewer_keys_than_the_goal_names_prove_nothing(self):
        self.assertIsNone(goals.keys_verdict([1.0], 500).passed)

    def test_the_text_shows_faults_and_what_was_left_out(self):
        text = report.text(*self.parts)
        for expected in ("INVALID envoy: broken", "left out  haproxy: absent", "not supported", "MISS", "0.90"):
            self.assertIn(expected, text)

    def test_the_document_survives_json(self):
        document = json.loads(json.dumps(report.document(*self.parts)))
        proxies_seen = document["cells"][0]["proxies"]
        self.assertAlmostEqual(proxies_seen["sidekey"]["ratios"]["nginx"]["cpu_us"], 0.9)
        self.assertIsNone(proxies_seen["sidekey"]["ratios"]["envoy"]["cpu_us"])

    def test_tables_are_aligned(self):
        lines = report.table(["a", "b"], [["long name", "1"], ["x", "1000"]]).splitlines()
        self.assertEqual({len(line) for line in lines}, {15})


def run():
    """Runs all checks; returns the exit status."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    return 0 if unittest.TextTestRunner(verbosity=1).run(suite).wasSuccessful() else 1
