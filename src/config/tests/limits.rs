//! Limits and `[gates]` as users write them: what contradicts itself, and help that can be followed.

use super::{bad, good, load, one, rendered};

#[test]
fn numbers_of_gates_that_could_never_count_are_refused() {
    for (lines, key) in [
        ("circuit_open = \"5m\"", "gates.circuit_open"),
        ("circuit_open = \"10s\"\nlongest_circuit_open = \"9s\"", "gates.circuit_open"),
        ("first_pause = \"30s\"", "gates.first_pause"),
        ("first_pause_throttled = \"21s\"", "gates.first_pause_throttled"),
        ("max_waiting_per_gate = 50000", "gates.max_waiting_per_gate"),
        ("resend_cost = 501", "gates.resend_cost"),
        ("resend_cost_throttled = 501", "gates.resend_cost_throttled"),
    ] {
        one(&format!("[gates]\n{lines}"), 2, key);
    }
    for lines in [
        "circuit_open = \"5m\"\nlongest_circuit_open = \"5m\"",
        "longest_circuit_open = \"2s\"",
        "longest_pause = \"10ms\"",
        "max_waiting = 500",
        "max_waiting_per_gate = 50000\nmax_waiting = 50000",
        "resend_cost = 600\nresend_quota = 600",
        "resend_quota = 0\nresend_cost = 20",
    ] {
        good(&format!("[gates]\n{lines}"));
    }
    let shown = rendered("[gates]\ncircuit_open = \"5m\"\nmax_waiting_per_gate = 50000");
    for part in [
        "longer than `longest_circuit_open`, which is `1m` (found `5m`)",
        "use at most `1m`, or raise `longest_circuit_open`",
        "more than `max_waiting`, which is 10000 (found `50000`)",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn what_limits_would_take_is_told_so_that_it_can_be_written() {
    for (text, parts) in [
        ("[service.stripe]\nrate = \"100/s\"", &["`rate = { limit = \"100/s\" }`"][..]),
        ("[service.stripe]\nrate = { max_wait = 30 }", &["with its unit, such as `\"30s\"`"]),
        ("[service.stripe]\nrate = { per_caller = 5 }", &["with its unit, such as `\"100/s\"`"]),
        ("[service.stripe]\nrate = { quota = [5] }", &["with its unit, such as `\"10000/day\"`"]),
        ("[service.stripe]\nrate = { per_caller = \"10/s burst 0\" }", &["expected a burst of at least 1"]),
        ("[service.stripe]\ntitle = 5", &["help: write it in quotes\n"]),
        ("[gates]\nlongest_jitter = \"1d\"", &["use `0s` to `1m`"]),
        ("[gates]\nfirst_pause = \"5m\"", &["use `0s` to `1m`"]),
        ("[gates]\ncircuit_open = 5", &["with its unit, such as `\"30s\"`"]),
        ("[gates]\nslow_start_step = \"0s\"", &["use `1ms` to `1m`"]),
        ("[gates]\nlongest_vouched = \"40d\"", &["use `1s` to `31d`"]),
        ("[service.stripe]\nlimits = { statuses = { 200 = \"throttled\" } }", &["300 to 599", "`bodies`"]),
        ("[service.stripe]\nlimits = { family = \"vendor\" }", &["limits.headers", "or leave `family` out"]),
    ] {
        let shown = rendered(text) + "\n";
        assert!(parts.iter().all(|part| shown.contains(part)), "{text}\n{shown}");
        assert_eq!(bad(text).len(), 1, "{shown}");
    }
}

#[test]
fn a_rule_that_is_none_is_pointed_at_and_rates_and_rules_are_shown() {
    let text = "[service.stripe]\nrate = { per_route = { \"GET\" = \"1/s\" } }";
    let shown = rendered(text);
    assert!(shown.contains("proxy.toml:2:24: ") && shown.contains("\"GET\" = \"1/s\""), "{shown}");
    for (text, part) in [
        ("[service.stripe]\nrate = { costs = { \"GET /v1\" = 500 } }", "\"GET /v1\" = 500"),
        ("[service.stripe]\nlimits = { statuses = { 420 = \"slow\" } }", "420 = \"slow\""),
        ("[service.stripe]\nlimits = { buckets = { a = [\"search\"] } }", "a = [\"search\"]"),
    ] {
        let shown = rendered(text);
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    // Only below these tables, and no key of a secret's name.
    let text = "[service.stripe]\nrate = { costs = { value = \"canary-9f2c\" } }\nheaders = { x = \"canary-9f2c\", costs = 5 }";
    assert!(!format!("{}", load(text).unwrap_err()).contains("9f2c"));
}
