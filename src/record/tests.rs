//! Tables for units, overlays, hints, and each thing that `compile` takes or refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::domain::{
    ConnectTo, Fields, HeaderFamily, HostPattern, Http2, Name, Placement, ResetUnit, Scheme, Service, Verdict,
};

use super::*;

fn record(toml: &str) -> ServiceRecord {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}\n{error}"))
}

fn compiled(toml: &str) -> Service {
    compile(&Name::new("billing").unwrap(), &record(toml)).unwrap_or_else(|errors| panic!("{toml}\n{errors}"))
}

/// The errors of a record that has `base_url` and the given lines.
fn faults(lines: &str) -> Vec<RecordError> {
    let text = format!("base_url = \"https://api.example.com\"\n{lines}");
    compile(&Name::new("billing").unwrap(), &record(&text)).err().map(RecordErrors::into_vec).unwrap_or_default()
}

/// Asserts that the lines lead to exactly one error, at this path.
fn refused(lines: &str, path: &str) {
    let found: Vec<String> = faults(lines).iter().map(|e| e.path.to_string()).collect();
    assert_eq!(found, [path], "{lines}\n{:#?}", faults(lines));
}

#[test]
fn durations_have_a_unit() {
    let table = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("10min", 600_000), ("1h", 3_600_000), ("0s", 0)];
    for (text, milliseconds) in table {
        assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for bad in ["", "30", "s", "-1s", "1.5s", "1w", "30 seconds", "٣s"] {
        assert_eq!(duration(bad), Err(UnitError::Duration), "{bad}");
    }
    assert_eq!(duration("99999999999999999999s"), Err(UnitError::TooLarge));
    assert_eq!(duration("18446744073709551615d"), Err(UnitError::TooLarge));
}

#[test]
fn sizes_know_both_kinds_of_unit() {
    let table = [
        ("0", 0),
        ("65536", 65_536),
        ("256KiB", 262_144),
        ("1MiB", 1 << 20),
        ("64KB", 64_000),
        ("2 gb", 2_000_000_000),
    ];
    for (text, size) in table {
        assert_eq!(bytes(text), Ok(size), "{text}");
    }
    for bad in ["", "KiB", "1K", "1.5MiB", "-1", "1TiB"] {
        assert_eq!(bytes(bad), Err(UnitError::Size), "{bad}");
    }
    assert_eq!(bytes("18446744073709551615GiB"), Err(UnitError::TooLarge));
}

#[test]
fn rates_are_a_count_and_a_period() {
    let table = [
        ("100/s", 100, 1),
        ("60/min", 60, 60),
        ("60/m", 60, 60),
        ("1000/h", 1000, 3600),
        ("10000 / d", 10_000, 86_400),
    ];
    for (text, count, seconds) in table {
        let rate = rate(text).unwrap();
        assert_eq!((rate.count.get(), rate.period), (count, Duration::from_secs(seconds)), "{text}");
    }
    assert_eq!(rate("0/s"), Err(UnitError::Zero));
    assert_eq!(rate("5000000000/s"), Err(UnitError::TooLarge));
    for bad in ["", "100", "/s", "100/", "100/w", "x/s", "1ms/s", "100/s/s"] {
        assert_eq!(rate(bad), Err(UnitError::Rate), "{bad}");
    }
}

#[test]
fn a_duration_is_written_in_the_largest_unit_that_fits() {
    for text in ["0s", "1ms", "1500ms", "90s", "1m", "2h", "36h", "7d"] {
        assert_eq!(in_one_unit(duration(text).unwrap()), text);
    }
    assert_eq!(in_one_unit(Duration::from_secs(60 * 60 * 24)), "1d");
}

#[test]
fn a_rate_may_have_a_burst() {
    let table = [("100/s", "100/s"), ("100/s burst 20", "100/s burst 20"), ("60 / min  burst  5", "60/min burst 5")];
    for (text, shown) in table {
        assert_eq!(level(text).unwrap().to_string(), shown);
    }
    assert_eq!(level("1/s burst 0"), Err(UnitError::NoBurst));
    assert_eq!(level("1/s burst 5000000000"), Err(UnitError::TooLarge));
    for bad in ["1/s burst", "1/s burst x", "1/s burst 5s", "1/s burst 5 burst 6"] {
        assert_eq!(level(bad), Err(UnitError::Level), "{bad}");
    }
    assert_eq!(level("burst 5"), Err(UnitError::Rate));
}

#[test]
fn quotas_are_a_count_and_a_day_or_a_month() {
    for (text, shown) in [("1000/day", "1000/day"), ("5 / d", "5/day"), ("50000/month", "50000/month")] {
        assert_eq!(quota(text).unwrap().to_string(), shown);
    }
    assert_eq!(quota("0/day"), Err(UnitError::Zero));
    assert_eq!(quota("5000000000/day"), Err(UnitError::TooLarge));
    for bad in ["", "100", "/day", "100/", "100/s", "100/m", "x/day", "1/day/day"] {
        assert_eq!(quota(bad), Err(UnitError::Quota), "{bad}");
    }
}

#[test]
fn hosts_carry_an_optional_port() {
    let table = [
        ("a.example", "a.example", None),
        ("a.example:8443", "a.example", Some(8443)),
        ("[::1]:80", "[::1]", Some(80)),
        ("[::1]", "[::1]", None),
        ("::1", "::1", None),
        ("{tenant}.example:1", "{tenant}.example", Some(1)),
    ];
    for (text, host, port) in table {
        assert_eq!(host_and_port(text), Ok((host, port)), "{text}");
    }
    for bad in ["a:", "a:0", "a:65536", "a:x", "a:+1", "[::1]:"] {
        assert_eq!(host_and_port(bad), Err(UnitError::Port), "{bad}");
    }
}

#[test]
fn hints_are_near_or_absent() {
    let known = ["header", "query", "bearer", "basic", "cookie", "path"];
    for (word, hint) in
        [("heder", "header"), ("Header", "header"), ("bearr", "bearer"), ("cook", "cookie"), ("paht", "path")]
    {
        assert_eq!(nearest(word, known), Some(hint), "{word}");
    }
    for word in ["", "authorization", "xyz", "q"] {
        assert_eq!(nearest(word, known), None, "{word}");
    }
}

#[test]
fn a_record_of_the_contract_compiles_with_everything_in_its_place() {
    let service = compiled(
        r#"
        base_url = "https://Billing.Example.com./api/"
        auth = [{ location = "header", name = "X-API-Key" }, { location = "query", name = "api_key" }]
        headers = { "X-Api-Version" = "2024-01" }
        allow = ["GET /v1/**", "POST /v1/charges"]
        rate = { limit = "100/s", burst = 20, concurrency = 25, max_wait = "30s" }
        retry = { attempts = 3, max_body = "256KiB" }
        timeouts = { connect = "5s", first_byte = "10m", idle = "10m" }
        upstream = { ca = "certs/internal.pem", connect_to = "10.0.0.7:8443", http2 = "never", allow_private = true }
        verify = { path = "/v1/me?expand=all", expect = [200, 204] }
        "#,
    );
    assert_eq!(service.title, "billing");
    assert_eq!((service.base.scheme, service.base.port), (Scheme::Https, 443));
    assert_eq!(service.base.host.literal().as_deref(), Some("billing.example.com"));
    assert_eq!(service.base.path.literal().as_deref(), Some("/api"));
    let [(HostPattern::Exact(host), None)] = service.hosts.as_slice() else { panic!("{:?}", service.hosts) };
    assert_eq!(host.as_str(), "billing.example.com");
    assert_eq!(service.fields(), [&Name::new(Fields::SINGLE).unwrap()]);
    assert_eq!(service.allowed.rules.unwrap()[1].to_string(), "POST /v1/charges");
    assert_eq!(service.limits.burst.unwrap().get(), 20);
    assert_eq!(service.retry.max_body, 256 * 1024);
    assert_eq!(service.timeouts.first_byte, Duration::from_secs(600));
    assert_eq!(service.upstream.http2, Http2::Never);
    assert_eq!(service.upstream.connect_to, Some(ConnectTo::Address("10.0.0.7:8443".parse().unwrap())));
    assert_eq!(service.verify.unwrap().expect, [200, 204]);
}

#[test]
fn every_location_becomes_its_placement() {
    let table = [
        (r#"{ location = "header", name = "X-API-Key" }"#, "header X-API-Key: {key}"),
        (r#"{ location = "header", name = "Authorization", prefix = "Token " }"#, "header Authorization: Token {key}"),
        (r#"{ location = "header", name = "X-K", prefix = "{a} ", value = "{b}" }"#, "header X-K: {{a}} {b}"),
        (r#"{ location = "bearer" }"#, "header Authorization: Bearer {key}"),
        (r#"{ location = "query", name = "api_key" }"#, "query ?api_key={key}"),
        (r#"{ location = "basic", username = "{sid}", password = "{token}" }"#, "basic {sid}:{token}"),
        (r#"{ location = "basic", username = "{key}" }"#, "basic {key}:"),
        (r#"{ location = "cookie", name = "session" }"#, "cookie session={key}"),
        (r#"{ location = "path", template = "/bot{key}" }"#, "path /bot{key}"),
    ];
    for (auth, described) in table {
        let service = compiled(&format!("base_url = \"https://a.example\"\nauth = {auth}"));
        let found: Vec<String> = service.auth.iter().map(Placement::describe).collect();
        assert_eq!(found, [described], "{auth}");
    }
}

#[test]
fn places_that_cannot_work_are_refused_by_their_key() {
    let table = [
        (r#"auth = { name = "X" }"#, "auth.location"),
        (r#"auth = { location = "heder", name = "X" }"#, "auth.location"),
        (r#"auth = { location = "header" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "X Y" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "Host" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "content-length" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "Proxy-Authorization" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "Sidekey-Credential" }"#, "auth.name"),
        (r#"auth = { location = "header", name = "X", value = "fixed" }"#, "auth"),
        (r#"auth = { location = "header", name = "X", value = "{key" }"#, "auth.value"),
        (r#"auth = { location = "header", name = "X", prefix = "a\n" }"#, "auth.prefix"),
        (r#"auth = { location = "bearer", name = "X" }"#, "auth.name"),
        (r#"auth = { location = "query", name = "" }"#, "auth.name"),
        (r#"auth = { location = "query" }"#, "auth.name"),
        (r#"auth = { location = "basic" }"#, "auth.username"),
        (r#"auth = { location = "basic", username = "a:{key}" }"#, "auth.username"),
        (r#"auth = { location = "cookie", name = "a;b" }"#, "auth.name"),
        (r#"auth = { location = "cookie", name = "a", value = "{key};x" }"#, "auth.value"),
        (r#"auth = { location = "path" }"#, "auth.template"),
        (r#"auth = { location = "path", template = "bot{key}" }"#, "auth.template"),
        (r#"auth = { location = "path", template = "/bot{key}/" }"#, "auth.template"),
        (r#"auth = { location = "path", template = "/../{key}" }"#, "auth.template"),
        (r#"auth = { location = "path", template = "/{key}?x" }"#, "auth.template"),
        ("auth = []", "auth"),
        (r#"auth = [{ location = "bearer" }, { location = "header" }]"#, "auth[1].name"),
        (r#"auth = [{ location = "bearer" }, { location = "basic", username = "{key}" }]"#, "auth[1]"),
        ("auth = { location = \"query\", name = \"a\", value = \"{t}\" }\nvars = { t = {} }", "auth"),
    ];
    for (lines, path) in table {
        refused(lines, path);
    }
}

#[test]
fn values_out_of_bounds_are_refused_by_their_key() {
    let table = [
        ("rate = { limit = \"fast\" }", "rate.limit"),
        ("rate = { limit = \"1/s\", burst = 0 }", "rate.burst"),
        ("rate = { burst = 5 }", "rate.burst"),
        ("rate = { concurrency = 0 }", "rate.concurrency"),
        ("rate = { max_wait = \"3m\" }", "rate.max_wait"),
        ("rate = { per_caller = \"10/s burst 0\" }", "rate.per_caller"),
        ("rate = { per_owner = \"10/s at once 5\" }", "rate.per_owner"),
        ("rate = { per_route = { \"GET\" = \"10/s\" } }", "rate.per_route.GET"),
        ("rate = { per_route = { \"GET /a\" = \"fast\" } }", "rate.per_route.\"GET /a\""),
        ("rate = { quota = [\"10/h\"] }", "rate.quota"),
        ("rate = { quota = [\"0/day\"] }", "rate.quota"),
        ("rate = { quota = [\"10/day\", \"20/d\"] }", "rate.quota"),
        ("rate = { quota = [\"10/day\"], quota_timezone = \"Mars/Olympus\" }", "rate.quota_timezone"),
        ("rate = { quota_timezone = \"UTC\" }", "rate.quota_timezone"),
        ("retry = { attempts = 0 }", "retry.attempts"),
        ("retry = { attempts = 9 }", "retry.attempts"),
        ("retry = { max_body = \"17MiB\" }", "retry.max_body"),
        ("timeouts = { connect = \"0s\" }", "timeouts.connect"),
        ("timeouts = { idle = \"25h\" }", "timeouts.idle"),
        ("upstream = { connect_to = \"10.0.0.7\" }", "upstream.connect_to"),
        ("upstream = { http2 = \"yes\" }", "upstream.http2"),
        ("upstream = { ca = \"\" }", "upstream.ca"),
        ("allow = [\"GET /ok\", \"get /v1\"]", "allow[1]"),
        ("paths = [\"maps\"]", "paths[0]"),
        ("headers = { Host = \"x\" }", "headers.Host"),
        ("headers = { X-A = \"{nobody}\" }", "headers.X-A"),
        ("headers = { Authorization = \"x\" }\nauth = { location = \"bearer\" }", "headers.Authorization"),
        ("headers = { X-A = \"1\", x-a = \"2\" }", "headers.x-a"),
        ("hosts = [\"https://a.example\"]", "hosts[0]"),
        ("hosts = [\"a.*.example\"]", "hosts[0]"),
        ("hosts = [\"*.10.0.0.1\"]", "hosts[0]"),
        ("hosts = [\"{tenant}.example\"]", "hosts[0]"),
        ("hosts = [\"a.example:0\"]", "hosts[0]"),
        ("vars = { Tenant = {} }", "vars.Tenant"),
        ("vars = { region = { choices = [\"eu\"], default = \"us\" } }", "vars.region.default"),
        ("vars = { region = { choices = [] } }", "vars.region.choices"),
        ("verify = { method = \"GET\" }", "verify.path"),
        ("verify = { path = \"/me\", method = \"get\" }", "verify.method"),
        ("verify = { path = \"/me\", body = \"{\" }", "verify.body"),
        ("verify = { path = \"/me\", expect = [] }", "verify.expect"),
        ("verify = { path = \"/{who}\" }", "verify.path"),
        ("verify = { path = \"/a b\" }", "verify.path"),
        ("limits = { reset = \"epoch\" }", "limits.reset"),
        ("docs = \"example.com\"", "docs"),
        ("env = [\"MY KEY\"]", "env[0]"),
    ];
    for (lines, path) in table {
        refused(lines, path);
    }
}

#[test]
fn base_urls_that_hide_something_are_refused() {
    for url in [
        "api.example.com",
        "ftp://a.example",
        "https://user:pass@a.example",
        "https://a.example/?x=1",
        "https://a.example?x",
        "https://a.example/#top",
        "https://",
        "https://a b",
        "https://a.example:0",
        "https://a.example/../x",
        "https://a.example/%2E%2e/x",
        "https://{tenant}.example",
        "https://*.example.com",
        "http://a.example",
        "http://127.0.0.1.example",
    ] {
        let record = record(&format!("base_url = \"{url}\""));
        let errors = compile(&Name::new("x").unwrap(), &record).expect_err(url);
        let paths: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["base_url"], "{url}");
    }
    for url in
        ["http://127.0.0.1:9", "http://localhost", "http://[::1]:80/a", "http://a.localhost", "HTTPS://A.example/"]
    {
        compiled(&format!("base_url = \"{url}\""));
    }
    compiled("base_url = \"http://a.example\"\nallow_plaintext = true");
}

#[test]
fn a_missing_base_url_is_an_error_of_its_own() {
    let errors = compile(&Name::new("x").unwrap(), &ServiceRecord::default()).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.path.to_string()).collect::<Vec<_>>(), ["base_url"]);
}

#[test]
fn all_errors_are_found_at_once_and_never_quoted_outside_found() {
    let found = faults(
        r#"
        auth = [{ location = "canary" }, { location = "header", name = "can ary" }]
        rate = { limit = "canary" }
        retry = { attempts = 77, max_body = "canary" }
        allow = ["canary"]
        hosts = ["canary/x"]
        headers = { X-A = "{canary}" }
        vars = { t = { choices = ["a"], default = "canary" } }
        "#,
    );
    assert_eq!(found.len(), 9, "{found:#?}");
    for error in &found {
        assert!(!error.problem.contains("canary") && !error.fix.contains("canary"), "{error:?}");
        assert!(!error.fix.is_empty());
    }
}

#[test]
fn tenant_hosts_are_patterns_of_their_variable() {
    let service = compiled(
        r#"
        base_url = "https://{tenant}.API.example.com/{version}"
        hosts = ["{tenant}.api.example.com", "*.files.example.com:8443", "{hostname}"]
        auth = { location = "header", name = "X-Key", value = "{key}" }
        vars = { tenant = { title = "Your subdomain" }, version = { default = "v1" }, hostname = {}, unused = {} }
        "#,
    );
    assert_eq!(service.base.host.to_string(), "{tenant}.api.example.com");
    assert_eq!(service.base.path.to_string(), "/{version}");
    assert!(matches!(&service.hosts[0], (HostPattern::Tenant(t), None) if t.to_string() == "{tenant}.api.example.com"));
    assert!(matches!(&service.hosts[1], (HostPattern::AnyLabel(h), Some(8443)) if h.as_str() == "files.example.com"));
    assert!(matches!(&service.hosts[2], (HostPattern::Tenant(t), None) if t.to_string() == "{hostname}"));
    let names: Vec<&str> = service.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["hostname", "tenant", "version"]);
    assert_eq!(service.variables[1].title, "Your subdomain");
}

#[test]
fn an_overlay_wins_key_by_key() {
    let lower = record(
        r#"
        title = "Billing"
        base_url = "https://api.example.com"
        hosts = ["api.example.com", "files.example.com"]
        auth = { location = "bearer" }
        rate = { limit = "100/s", burst = 20 }
        headers = { X-Version = "1", X-Other = "o" }
        vars = { region = { title = "Region", default = "eu" } }
        allow = ["GET /**"]
        read_only = true
        "#,
    );
    let upper = record(
        r#"
        auth = [{ location = "query", name = "k" }]
        rate = { burst = 5 }
        headers = { x-version = "2" }
        vars = { region = { default = "us" } }
        allow = []
        "#,
    );
    let both = lower.clone().overlaid(upper);
    assert_eq!(both.title.as_deref(), Some("Billing"));
    assert_eq!(both.hosts.as_ref().map(Vec::len), Some(2));
    assert!(matches!(both.auth, Some(AuthList::Several(ref auths)) if auths.len() == 1));
    let rate = both.rate.unwrap();
    assert_eq!((rate.limit.as_deref(), rate.burst), (Some("100/s"), Some(5)));
    let expected = BTreeMap::from([("X-Other".to_owned(), "o".to_owned()), ("x-version".to_owned(), "2".to_owned())]);
    assert_eq!(both.headers, Some(expected));
    let region = &both.vars.unwrap()["region"];
    assert_eq!((region.title.as_deref(), region.default.as_deref()), (Some("Region"), Some("us")));
    assert_eq!((both.allow, both.read_only), (Some(vec![]), Some(true)));

    let moved = lower.clone().overlaid(record("base_url = \"http://127.0.0.1:9\""));
    let service = compile(&Name::new("x").unwrap(), &moved).unwrap();
    assert!(matches!(service.hosts.as_slice(), [(HostPattern::Exact(h), None)] if h.as_str() == "127.0.0.1"));
    assert_eq!(lower.clone().overlaid(ServiceRecord::default()), lower);
    assert_eq!(ServiceRecord::default().overlaid(lower.clone()), lower);
}

#[test]
fn paths_print_as_in_toml() {
    let path = KeyPath::root().key("auth").index(1).key("name");
    assert_eq!(path.to_string(), "auth[1].name");
    assert_eq!(KeyPath::root().key("headers").key("a.b").to_string(), "headers.\"a.b\"");
    assert!(path.is_within(&KeyPath::root().key("auth")));
    assert!(!KeyPath::root().key("auth").is_within(&path));
}

proptest! {
    #[test]
    fn garbage_never_panics(text in "\\PC{0,40}") {
        let _ = duration(&text);
        let _ = bytes(&text);
        let _ = (rate(&text), quota(&text));
        let _ = host_and_port(&text);
        let _ = nearest(&text, ["header", "query"]);
        let some = || Some(text.clone());
        let record = ServiceRecord {
            base_url: Some(format!("https://{text}")),
            hosts: Some(vec![text.clone(), format!("*.{text}"), format!("{{t}}.{text}")]),
            paths: Some(vec![text.clone()]),
            allow: Some(vec![text.clone()]),
            auth: Some(AuthList::Several(
                ["header", "query", "cookie", "path", "basic", "bearer", &text]
                    .map(|location| Auth {
                        location: Some(location.to_owned()),
                        name: some(), prefix: some(), value: some(), username: some(), password: some(), template: some(),
                    })
                    .into(),
            )),
            headers: Some(BTreeMap::from([(text.clone(), text.clone())])),
            vars: Some(BTreeMap::from([(text.clone(), VariableRecord::default())])),
            verify: Some(VerifyRecord { path: some(), method: some(), body: some(), ..VerifyRecord::default() }),
            upstream: Some(UpstreamRecord { connect_to: some(), http2: some(), ..UpstreamRecord::default() }),
            ..ServiceRecord::default()
        };
        let _ = compile(&Name::new("x").unwrap(), &record);
    }

    #[test]
    fn what_compiles_has_a_base_that_can_be_sent(text in "[a-zA-Z0-9./:{}%?#@\\-_ ]{0,30}") {
        let record = ServiceRecord { base_url: Some(format!("https://{text}")), ..ServiceRecord::default() };
        if let Ok(service) = compile(&Name::new("x").unwrap(), &record) {
            let host = service.base.host.literal().unwrap();
            let again = crate::domain::Host::new(&host).map(|h| h.as_str().to_owned());
            prop_assert_eq!(again, Ok(host));
            let path = service.base.path.literal().unwrap();
            prop_assert!(path.is_empty() || (path.starts_with('/') && !path.ends_with('/')));
            let sent = format!("{path}/").parse::<http::uri::PathAndQuery>();
            prop_assert!(sent.is_ok());
        }
    }
}

#[test]
fn a_record_is_the_same_after_being_written_and_read() {
    for (name, text) in crate::catalogue::names().map(|name| (name, crate::catalogue::text(name).unwrap())) {
        let given = record(text);
        assert_eq!(from_toml(&to_toml(&given)).unwrap(), given, "{name}");
    }
}

#[test]
fn a_table_for_the_file_expands_nothing() {
    let given =
        record("base_url = \"https://a.example\"\ntitle = \"costs ${MONEY}\"\nauth = [{ location = \"bearer\" }]");
    let table = to_table(&Name::new("a.b").unwrap(), &given);
    assert!(table.starts_with("[service.\"a.b\"]") && table.contains("$${MONEY}"), "{table}");
}

#[test]
fn a_key_of_another_version_is_named_with_its_line() {
    let error = from_toml("title = \"x\"\nquantum = \"s3cret\"").unwrap_err().to_string();
    assert!(error.contains("quantum") && error.contains("line 2") && !error.contains("s3cret"), "{error}");
    let error = from_toml("allow = \"s3cret\"").unwrap_err().to_string();
    assert!(error.contains("expected") && !error.contains("s3cret"), "{error}");
    assert_eq!(from_toml("").unwrap(), ServiceRecord::default());
}

#[test]
fn limits_are_compiled_whole() {
    let text = r#"
        base_url = "https://api.example.com"
        auth = { location = "bearer" }
        retry = { throttle_safe = false, idempotency_header = "X-Idempotency-Key", generate_idempotency_key = true }
        [limits]
        family = "vendor"
        reset = "delta-ms"
        headers = ["X-Limit-Minute", "X-Left-Minute", "X-Limit-Day", "X-Left-Day", "X-Reset"]
        rate = "100/s"
        concurrency = 5
        leak = "2/s"
        default_wait = "60s"
        statuses = { 402 = "exhausted" }
        buckets = { search = ["GET /search/**"] }
        bucket_by = "path"
        [[limits.bodies]]
        statuses = [403]
        routes = ["POST /**"]
        path = "errors.*.code"
        values = ["slow"]
        verdict = "throttled"
        wait = "5s"
        wait_at = "retry"
        reason_at = "limit.name"
    "#;
    let service = compiled(text);
    let signals = &service.signals;
    assert_eq!((signals.family, signals.reset), (Some(HeaderFamily::Vendor), Some(ResetUnit::DeltaMillis)));
    let [minute, day] = signals.own.as_slice() else { panic!("{:?}", signals.own) };
    assert_eq!(minute.remaining.as_ref().unwrap(), "x-left-minute");
    assert!(minute.reset.is_none());
    assert_eq!(
        (day.limit.as_ref().unwrap().as_str(), day.reset.as_ref().unwrap().as_str()),
        ("x-limit-day", "x-reset")
    );
    assert_eq!(signals.statuses, [(402, Verdict::Exhausted)]);
    assert_eq!(signals.rate.unwrap().count.get(), 100);
    let [rule] = signals.bodies.as_slice() else { panic!("{:?}", signals.bodies) };
    assert_eq!(*rule.path, ["errors".into(), "*".into(), Box::<str>::from("code")]);
    assert_eq!((rule.wait, rule.routes.len()), (Some(Duration::from_secs(5)), 1));
    assert_eq!(rule.reason_at.as_deref(), Some(["limit".into(), Box::<str>::from("name")].as_slice()));
    assert!(signals.by_path && signals.buckets.len() == 1 && signals.concurrency.is_some());
    assert!(!service.retry.throttle_safe && service.retry.generate_idempotency_key);
    assert_eq!(service.retry.idempotency_header, "x-idempotency-key");
}

#[test]
fn what_limits_cannot_mean_is_told_with_its_place() {
    let places_of = |limits: &str| {
        let errors = faults(&format!("auth = {{ location = \"bearer\" }}\n[limits]\n{limits}"));
        errors.iter().map(|error| error.path.to_string()).collect::<Vec<_>>().join(" ")
    };
    for (limits, places) in [
        ("family = \"githb\"", "limits.family"),
        ("reset = \"seconds\"", "limits.reset"),
        ("headers = [\"a b\"]", "limits.headers[0]"),
        ("rate = \"fast\"\nleak = \"0/s\"\nconcurrency = 0", "limits.rate limits.concurrency limits.leak"),
        ("default_wait = \"2d\"", "limits.default_wait"),
        ("statuses = { teapot = \"throttled\" }", "limits.statuses.teapot"),
        ("statuses = { 420 = \"slow\" }", "limits.statuses.420"),
        ("statuses = { 200 = \"throttled\" }", "limits.statuses.200"),
        ("family = \"vendor\"", "limits.headers"),
        ("buckets = { a = [\"search\"] }", "limits.buckets.a[0]"),
        ("bucket_by = \"host\"", "limits.bucket_by"),
        (
            "bodies = [{}]",
            "limits.bodies[0].statuses limits.bodies[0].values limits.bodies[0].path limits.bodies[0].verdict",
        ),
        (
            "bodies = [{ statuses = [1], path = \"a..b\", values = [\"x\"], verdict = \"throttled\" }]",
            "limits.bodies[0].statuses limits.bodies[0].path",
        ),
    ] {
        assert_eq!(places_of(limits), places, "{limits}");
    }
}

#[test]
fn quotas_are_compiled_with_their_time_zone() {
    let text = "base_url = \"https://api.example.com\"\nauth = { location = \"bearer\" }\n\
        rate = { quota = [\"10000/day\", \"200000/month\"], quota_timezone = \"Europe/Berlin\" }";
    let service = compile(&Name::new("billing").unwrap(), &record(text)).unwrap();
    let quotas = service.gating.quotas;
    assert_eq!(quotas.each.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10000/day", "200000/month"]);
    assert_eq!(quotas.zone.iana_name(), Some("Europe/Berlin"));
}
