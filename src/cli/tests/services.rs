//! Services by the command line: what flags make, what is asked, and what a person reads before they agree.

use super::{CANARY, Stage, refusal};

const OPENAPI: &str = r#"{
    "openapi": "3.1.0", "info": { "title": "Blue Bikes" }, "servers": [{ "url": "https://api.bikes.example/v2" }],
    "security": [{ "k": [] }, { "o": [] }],
    "components": { "securitySchemes": {
        "k": { "type": "apiKey", "in": "header", "name": "X-Key" }, "o": { "type": "oauth2" }
    } },
    "paths": { "/me": { "get": {} }, "/bikes/{id}": { "delete": {} } }
}"#;

impl Stage {
    /// Runs a line that must end well; what it printed on the standard output.
    fn does(&mut self, line: &[&str]) -> String {
        self.out.0.borrow_mut().clear();
        let code = self.run(line);
        assert_eq!(code, 0, "{line:?}\n{}", self.said());
        self.out.text()
    }

    /// Runs a line that must be refused with 2; what it printed beside.
    fn refuses(&mut self, line: &[&str]) -> String {
        self.error.0.borrow_mut().clear();
        assert_eq!(self.run(line), 2, "{line:?}\n{}", self.said());
        self.error.text()
    }
}

#[test]
fn flags_make_the_table_that_proxy_toml_would_have() {
    let base = ["service", "add", "billing", "--toml", "--base-url", "https://billing.example.com/api"];
    let table: [(&[&str], &str); 12] = [
        (&["--bearer"], "location = \"bearer\""),
        (&["--header", "X-API-Key"], "location = \"header\"\nname = \"X-API-Key\""),
        (&["--header", "X-Auth=v1:{key}"], "name = \"X-Auth\"\nvalue = \"v1:{key}\""),
        (&["--header", "Authorization", "--prefix", "Token "], "name = \"Authorization\"\nprefix = \"Token \""),
        (&["--query", "api_key"], "location = \"query\"\nname = \"api_key\""),
        (&["--basic", "{sid}:{token}"], "username = \"{sid}\"\npassword = \"{token}\""),
        (&["--basic", "{key}:"], "username = \"{key}\"\n"),
        (&["--cookie", "session"], "location = \"cookie\""),
        (&["--path", "/bot{key}"], "template = \"/bot{key}\""),
        (&["--header", "X-Id={id}", "--query", "k={secret}"], "[[service.billing.auth]]"),
        (
            &["--allow", "GET /v1/**", "--host", "*.example.com", "--verify", "HEAD /me"],
            "method = \"HEAD\"\npath = \"/me\"",
        ),
        (&["--set", "rate.limit = \"5/s\"", "--set", "timeouts = { idle = \"1m\" }"], "[service.billing.timeouts]"),
    ];
    for (flags, part) in table {
        let mut stage = Stage::nobody();
        let shown = stage.does(&[&base, flags].concat());
        assert!(shown.starts_with("[service.billing]\n") && shown.contains(part), "{flags:?}\n{shown}");
        assert!(!stage.session.environment.folder().join("data").exists(), "nothing is stored");
    }
}

#[test]
fn holes_of_the_address_become_variables() {
    let line = [
        "service",
        "add",
        "desk",
        "--toml",
        "--bearer",
        "--base-url",
        "https://{tenant}.example.com",
        "--var",
        "tenant=acme",
    ];
    let shown = Stage::nobody().does(&line);
    assert!(shown.contains("[service.desk.vars.tenant]\ndefault = \"acme\""), "{shown}");
    let shown = Stage::nobody().does(&line[..line.len() - 2]);
    assert!(shown.contains("[service.desk.vars.tenant]"), "{shown}");
}

#[test]
fn flags_that_do_not_hold_together_are_refused_and_nothing_is_stored() {
    let base = ["service", "add", "billing", "--base-url", "https://billing.example.com"];
    let table: [(&[&str], &str); 9] = [
        (&["--prefix", "x"], "--prefix goes with one --header"),
        (&["--header", "A", "--header", "B", "--prefix", "x"], "--prefix goes with one --header"),
        (&["--header", "Host"], "belongs to the connection"),
        (&["--basic", "fixed:fixed"], "without a `{field}`"),
        (&["--set", "quantum = 1"], "unknown field `quantum`"),
        (&["--set", "allow = \"C4nary\""], "wrong kind"),
        (&["--allow", "get /"], "not a rule"),
        (&["--base-url", "http://billing.example.com"], "plain HTTP"),
        (&["--var", "=x"], "--var takes NAME"),
    ];
    for (flags, part) in table {
        let mut stage = Stage::nobody();
        let line: Vec<&str> = match flags {
            ["--base-url", ..] => [&base[..3], flags].concat(),
            _ => [&base[..], flags].concat(),
        };
        let said = stage.refuses(&line);
        assert!(said.contains(part) && !said.contains("C4nary"), "{flags:?}\n{said}");
        assert!(stage.does(&["service", "list", "--custom", "--json"]).contains("\"items\": []"));
    }
    assert!(Stage::nobody().refuses(&["service", "add", "billing"]).contains("--base-url"));
}

#[test]
fn a_person_at_a_terminal_is_asked_for_what_is_needed() {
    let mut stage = Stage::answering(["https://billing.example.com", "header", "X-API-Key", ""]);
    let said = stage.does(&["service", "add", "billing"]);
    assert!(said.contains("Added the service `billing`") && said.contains("X-API-Key: …"), "{said}");
    let asked = stage.asked.borrow().join("\n");
    assert!(asked.contains("Where is billing") && asked.contains("[bearer]"), "{asked}");
    for (answers, place) in [
        (["https://a.example.com", "", ""], "Authorization: Bearer …"),
        (["https://{tenant}.example.com", "query", "k"], "?k=…"),
        (["https://a.example.com", "path", "/bot{key}"], "/bot… before the path"),
        (["https://a.example.com", "none", ""], "takes no key"),
    ] {
        let said = Stage::answering(answers).does(&["service", "add", "billing"]);
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn an_import_is_shown_with_what_was_assumed_before_it_is_agreed_to() {
    let mut stage = Stage::answering(["y"]);
    std::fs::write(stage.session.environment.folder().join("bikes.json"), OPENAPI).unwrap();
    let said = stage.does(&["service", "import", "bikes.json", "--allow-rules"]);
    assert!(said.contains("Added the service `blue-bikes` (Blue Bikes)"), "{said}");
    let beside = stage.error.text();
    for part in [
        "OpenAPI 3.1.0, 2 operations",
        "base_url = \"https://api.bikes.example/v2\"",
        "2 rules",
        "other ways to authenticate",
    ] {
        assert!(beside.contains(part), "no {part} in\n{beside}");
    }
    let shown = stage.does(&["service", "show", "blue-bikes", "--toml"]);
    assert!(shown.contains("allow = [\"DELETE /v2/bikes/*\", \"GET /v2/me\"]"), "{shown}");
    let again = stage.refuses(&["service", "import", "bikes.json"]);
    assert!(again.contains("--replace"), "{again}");
    stage.does(&["service", "import", "bikes.json", "--replace", "--yes"]);
    assert!(!stage.does(&["service", "show", "blue-bikes", "--toml"]).contains("allow"));
}

#[test]
fn whoever_does_not_agree_to_an_import_keeps_what_they_had() {
    let mut stage = Stage::answering(["no"]);
    std::fs::write(stage.session.environment.folder().join("bikes.json"), OPENAPI).unwrap();
    assert_eq!(stage.run(&["service", "import", "bikes.json"]), 1);
    assert!(stage.said().contains("nothing was added"));
    let mut stage = Stage::piped(OPENAPI);
    let said = stage.refuses(&["service", "import", "-"]);
    assert!(said.contains("--yes"), "{said}");
    let shown = stage.does(&["service", "import", "-", "--toml", "--name", "bikes", "--bearer"]);
    assert!(shown.contains("[service.bikes]") && shown.contains("location = \"bearer\""), "{shown}");
    assert!(stage.does(&["service", "list", "--custom", "--json"]).contains("\"items\": []"));
}

#[test]
fn documents_that_leave_too_much_open_say_which_flag_is_missing() {
    let table = [
        (
            "{ \"openapi\": \"3.0.0\", \"info\": { \"title\": \"X\" }, \"servers\": [{ \"url\": \"/v3\" }] }",
            "give --base-url",
        ),
        ("{ \"openapi\": \"3.0.0\" }", "give --name"),
        ("{ \"asyncapi\": \"2.0.0\" }", "AsyncAPI"),
        ("[1, 2", "cannot be imported"),
        (
            "{ \"openapi\": \"3.0.0\", \"info\": { \"title\": \"Stripe API\" }, \"servers\": [{ \"url\": \"https://a.example\" }] }",
            "which is built in already",
        ),
    ];
    for (document, part) in table {
        let said = Stage::piped(document).refuses(&["service", "import", "-", "--yes"]);
        assert!(said.contains(part), "{document}\n{said}");
    }
    let missing = Stage::nobody().run(&["service", "import", "nowhere.yaml"]);
    assert_eq!(missing, 1);
}

#[test]
fn a_draft_is_printed_for_programs() {
    let shown = Stage::piped(OPENAPI).does(&["service", "import", "-", "--toml", "--json"]);
    let draft: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&draft["version"], &draft["name"]), (&1.into(), &"blue-bikes".into()));
    assert_eq!(draft["record"]["auth"]["name"], "X-Key");
    assert_eq!(draft["rules"][1], "GET /v2/me");
    assert!(draft["notes"][0]["found"].as_str().unwrap().contains("other ways"));
}

#[test]
fn an_edit_changes_what_it_names_and_takes_out_what_is_unset() {
    let mut stage = Stage::nobody();
    stage.does(&[
        "service",
        "add",
        "billing",
        "--base-url",
        "https://a.example.com",
        "--bearer",
        "--allow",
        "GET /**",
        "--set",
        "rate.limit = \"5/s\"",
    ]);
    stage.does(&["service", "edit", "billing", "--title", "Billing", "--unset", "allow", "--unset", "rate.limit"]);
    let shown = stage.does(&["service", "show", "billing", "--toml"]);
    assert_eq!(
        shown,
        "[service.billing]\ntitle = \"Billing\"\nbase_url = \"https://a.example.com\"\n\n[service.billing.auth]\nlocation = \"bearer\"\n"
    );
    let said = stage.refuses(&["service", "edit", "billing", "--unset", "allow"]);
    assert!(said.contains("it sets auth, base_url, title"), "{said}");
    assert!(stage.refuses(&["service", "edit", "billing"]).contains("nothing to change"));
    assert!(stage.refuses(&["service", "edit", "biling", "--title", "x"]).contains("Did you mean `billing`?"));
}

#[test]
fn a_built_in_service_is_changed_in_the_store_and_goes_back() {
    let mut stage = Stage::nobody();
    stage.does(&["service", "edit", "stripe", "--set", "rate.limit = \"70/s\""]);
    assert!(stage.does(&["service", "list", "--custom"]).contains("built-in, changed in the store"));
    assert!(stage.does(&["service", "show", "stripe"]).contains("70/s"));
    assert!(stage.does(&["service", "delete", "stripe", "--yes"]).contains("built in again"));
    assert!(!stage.does(&["service", "show", "stripe"]).contains("70/s"));
    assert!(stage.refuses(&["service", "delete", "stripe", "--yes"]).contains("is built in"));
}

#[test]
fn keys_that_a_change_concerns_are_named_and_asked_about() {
    let mut stage = Stage::answering(["n", "y"]);
    stage.does(&["service", "add", "billing", "--base-url", "https://a.example.com", "--bearer"]);
    let file = stage.session.environment.folder().join("key");
    std::fs::write(&file, CANARY).unwrap();
    stage.does(&["key", "add", "billing", "--from-file", "key"]);
    let moved = ["service", "edit", "billing", "--base-url", "https://b.example.com"];
    assert_eq!(stage.run(&moved), 1);
    assert!(stage.error.text().contains("billing (of local): goes to b.example.com"), "{}", stage.said());
    assert!(stage.does(&["service", "show", "billing"]).contains("https://a.example.com"));
    stage.does(&moved);
    assert!(stage.does(&["service", "show", "billing"]).contains("https://b.example.com"));
    assert_eq!(stage.run(&["service", "delete", "billing", "--yes"]), 1, "a key is for it");
    assert!(stage.error.text().contains("in use by billing"));
    assert!(!stage.said().contains("C4nary"));
}

#[test]
fn a_keys_value_beside_the_place_where_it_goes_is_not_repeated() {
    let lines: [&[&str]; 3] = [
        &["service", "add", "billing", "--bearer", CANARY],
        &["service", "edit", "billing", "--header", "X-API-Key", CANARY],
        &["service", "add", CANARY],
    ];
    for line in lines {
        let (said, code) = refusal(line);
        assert!(code == 2 && !said.contains("C4nary"), "{said}");
    }
    assert!(refusal(&["service", "add", "Billing", "--bearer"]).0.contains("Billing"));
}
