//! The file as users meet it: what it takes, what it refuses and how it says so, and what it never shows.

mod events;
mod example;
mod limits;
mod stored;

use proptest::prelude::*;

use crate::domain::{KeyPlace, Name};

use super::*;

/// A small catalogue: one key, two fields, a tenant, a self-hosted one.
fn catalogue() -> Catalogue {
    let records = [
        ("stripe", "base_url = \"https://api.stripe.com\"\nauth = { location = \"bearer\" }"),
        (
            "twilio",
            "base_url = \"https://api.twilio.com\"
            auth = { location = \"basic\", username = \"{account_sid}\", password = \"{auth_token}\" }",
        ),
        (
            "shop",
            "base_url = \"https://{shop}.shop.example/admin/{version}\"
            hosts = [\"{shop}.shop.example\"]
            auth = { location = \"header\", name = \"X-Shop-Token\" }
            vars = { shop = { title = \"Your shop\", example = \"blue-bikes\" }, version = { default = \"v1\", choices = [\"v1\", \"v2\"] } }",
        ),
        ("gitforge", "auth = { location = \"bearer\" }"),
    ];
    records.into_iter().map(|(name, text)| (Name::new(name).unwrap(), toml::from_str(text).unwrap())).collect()
}

fn environment() -> Environment {
    Environment::of_pairs([
        ("HOST_NAME", "billing.example.com"),
        ("CANARY", "canary-9f2c"),
        ("EMPTY", ""),
        ("HTTPS_PROXY", "http://u:canary-9f2c@proxy.example:3128"),
        ("no_proxy", "localhost,.internal"),
    ])
}

fn load(text: &str) -> Result<Config, Invalid> {
    compiled(text, "proxy.toml", Path::new("/srv/app"), &environment(), &catalogue())
}

fn good(text: &str) -> Config {
    load(text).unwrap_or_else(|invalid| panic!("{text}\n{invalid}"))
}

/// The keys and lines of all errors.
fn bad(text: &str) -> Vec<(usize, String)> {
    let invalid = load(text).err().unwrap_or_else(|| panic!("accepted:\n{text}"));
    ConfigErrors::Invalid(invalid).errors().iter().map(|error| (error.line, error.key.clone())).collect()
}

/// Asserts that a text has exactly one error, at this line and key.
fn one(text: &str, line: usize, key: &str) {
    assert_eq!(bad(text), [(line, key.to_owned())], "{text}\n{}", load(text).unwrap_err());
}

fn rendered(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_gives_the_defaults_of_the_contract() {
    let config = good("");
    assert_eq!(config.listen.proxy, [ListenAddress::Tcp("127.0.0.1:8080".parse().unwrap())]);
    assert_eq!(config.listen.console, Some(ListenAddress::Tcp("127.0.0.1:8081".parse().unwrap())));
    assert_eq!((config.listen.threads, config.listen.browser_origins.len()), (0, 0));
    assert_eq!(config.store, Path::new("/srv/app/data/sidekey.db"));
    assert_eq!(config.data, Path::new("/srv/app/data"));
    assert_eq!(config.master_key, KeyPlace::File("/srv/app/data/master.key".into()));
    assert_eq!((config.callers, config.unmatched), (CallersMode::Open, Unmatched::Deny));
    let names: Vec<&str> = config.services.iter().map(|entry| entry.service.name.as_str()).collect();
    assert_eq!(names, ["shop", "stripe", "twilio"]);
    assert!(config.services.iter().all(|entry| entry.service.built_in && !entry.service.declared));
    assert!(config.credentials.is_empty());
}

#[test]
fn every_table_of_the_contract_is_understood() {
    let config = good(
        r#"
        [listen]
        proxy = ["127.0.0.1:9000", "unix:run/sidekey.sock"]
        console = "off"
        threads = 2
        browser_origins = ["https://App.example.com", "http://localhost:3000"]
        [store]
        url = "sqlite:/var/lib/sidekey/s.db"
        [master_key]
        command = ["pass", "show", "sidekey"]
        [callers]
        mode = "token"
        [unmatched]
        policy = "tunnel"
        [service.stripe]
        rate = { limit = "10/s" }
        [service.gitforge]
        base_url = "https://git.example.com/api"
        [service.billing]
        base_url = "https://${HOST_NAME}/api"
        auth = { location = "header", name = "X-API-Key" }
        upstream = { ca = "certs/internal.pem" }
        [credential.billing-prod]
        service = "billing"
        environment = "prod"
        file = "/run/secrets/billing"
        [credential.phone]
        service = "twilio"
        fields.account_sid.env = "TWILIO_SID"
        fields.auth_token.command = ["pass", "twilio"]
        [credential.bikes]
        service = "shop"
        env = "SHOP_TOKEN"
        vars = { shop = "blue-bikes" }
        "#,
    );
    assert_eq!(config.listen.proxy[1], ListenAddress::Unix("/srv/app/run/sidekey.sock".into()));
    assert_eq!(config.listen.console, None);
    assert_eq!(config.listen.browser_origins, ["https://app.example.com", "http://localhost:3000"]);
    assert_eq!(config.store, Path::new("/var/lib/sidekey/s.db"));
    assert_eq!(config.master_key, KeyPlace::Command(vec!["pass".into(), "show".into(), "sidekey".into()]));
    assert_eq!((config.callers, config.unmatched), (CallersMode::Token, Unmatched::Tunnel));
    let stripe = &config.service("stripe").unwrap().service;
    assert!(stripe.built_in && stripe.declared && stripe.limits.rate.is_some() && stripe.auth.len() == 1);
    let billing = &config.service("billing").unwrap().service;
    assert!(!billing.built_in && billing.declared);
    assert_eq!(billing.base.host.literal().as_deref(), Some("billing.example.com"));
    assert_eq!(billing.upstream.ca.as_deref(), Some(Path::new("/srv/app/certs/internal.pem")));
    assert!(config.service("gitforge").is_some());
    let [bikes, prod, phone] = config.credentials.as_slice() else { panic!("{:?}", config.credentials) };
    assert_eq!(prod.fields, [(Name::new("key").unwrap(), ValueSource::File("/run/secrets/billing".into()))]);
    assert_eq!(prod.environment.as_ref().map(Name::as_str), Some("prod"));
    let fields: Vec<&str> = phone.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, ["account_sid", "auth_token"]);
    let variables: Vec<_> = bikes.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("shop", "blue-bikes"), ("version", "v1")]);
    let watched = config.watched_files();
    assert_eq!(watched, [Path::new("/run/secrets/billing"), Path::new("/srv/app/certs/internal.pem")]);
}

#[test]
fn the_parent_proxies_come_from_the_environment() {
    let parents = good("").parents;
    assert!(parents.https.is_some_and(|proxy| proxy.ends_with("@proxy.example:3128")));
    assert_eq!(parents.no.as_deref(), Some("localhost,.internal"));
    assert_eq!((parents.http, parents.all), (None, None));
}

#[test]
fn each_fault_is_named_by_its_line_and_key() {
    let table = [
        ("[listen]\nproxy = \"localhost:8080\"", 2, "listen.proxy"),
        ("[listen]\nproxy = []", 2, "listen.proxy"),
        ("[listen]\nproxy = [\"127.0.0.1:1\",\n\"127.0.0.1:1\"]", 3, "listen.proxy[1]"),
        ("[listen]\nproxy = \"0.0.0.0:8080\"", 2, "listen.proxy"),
        ("[listen]\nproxy = \"unix:\"", 2, "listen.proxy"),
        ("[listen]\nconsole = \"127.0.0.1:8080\"", 2, "listen.console"),
        ("[listen]\nthreads = -1", 2, "listen.threads"),
        ("[listen]\nthreads = 1.5", 2, "listen.threads"),
        ("[listen]\nthreads = \"4\"", 2, "listen.threads"),
        ("[listen]\nbrowser_origins = [\"*\"]", 2, "listen.browser_origins[0]"),
        ("[listen]\nbrowser_origins = [\"https://a.example/\"]", 2, "listen.browser_origins[0]"),
        ("[listen]\nproxies = \"x\"", 2, "listen.proxies"),
        ("[lisen]", 1, "lisen"),
        ("listen = 5", 1, "listen"),
        ("[store]\nurl = \"postgres://u@h/db\"", 2, "store.url"),
        ("[store]\nurl = \"mysql://h\"", 2, "store.url"),
        ("[store]\nurl = \"sqlite::memory:\"", 2, "store.url"),
        ("[master_key]", 1, "master_key"),
        ("[master_key]\nfile = \"a\"\nenv = \"B\"", 3, "master_key.env"),
        ("[master_key]\nenv = \"$B\"", 2, "master_key.env"),
        ("[master_key]\ncommand = []", 2, "master_key.command"),
        ("[master_key]\ncommand = \"pass show\"", 2, "master_key.command"),
        ("[callers]\nmode = \"tokn\"", 2, "callers.mode"),
        ("[unmatched]\npolicy = \"allow\"", 2, "unmatched.policy"),
        ("[service.Billing]\nbase_url = \"https://a.example\"", 1, "service.Billing"),
        ("[service.billing]", 1, "service.billing"),
        ("[service]\nbilling = 1", 2, "service.billing"),
        ("[service.stripe]\nauth = \"bearer\"", 2, "service.stripe.auth"),
        (
            "[service.stripe]\nauth = [{ location = \"bearer\" },\n{ location = \"query\" }]",
            3,
            "service.stripe.auth[1].name",
        ),
        ("[service.stripe]\nallow = [\"GET /\", 5]", 2, "service.stripe.allow[1]"),
        ("[service.stripe]\nheaders = { X-A = 5 }", 2, "service.stripe.headers.X-A"),
        ("[service.stripe.retry]\nattempts = 99", 2, "service.stripe.retry.attempts"),
        ("[service.stripe.rate]\nburst = 5", 2, "service.stripe.rate.burst"),
        ("[service.stripe]\nbase_url = \"http://a.example\"", 2, "service.stripe.base_url"),
        ("[service.stripe]\nupstream = { http2 = true }", 2, "service.stripe.upstream.http2"),
        ("[gates]\nmax_in_flight = 0", 2, "gates.max_in_flight"),
        ("[gates]\nscarce_percent = 101", 2, "gates.scarce_percent"),
        ("[gates]\nlongest_jitter = \"2h\"", 2, "gates.longest_jitter"),
        ("[gates]\ncircuit_open = \"soon\"", 2, "gates.circuit_open"),
        ("[gates]\nmax_wating = 5", 2, "gates.max_wating"),
        ("[credential.x]\nenv = \"K\"", 1, "credential.x.service"),
        ("[credential.x]\nservice = \"strpe\"\nenv = \"K\"", 2, "credential.x.service"),
        ("[credential.x]\nservice = \"stripe\"", 1, "credential.x"),
        ("[credential.x]\nservice = \"stripe\"\nenv = \"A\"\nfile = \"b\"", 4, "credential.x.file"),
        ("[credential.x]\nservice = \"twilio\"\nenv = \"A\"", 1, "credential.x"),
        ("[credential.x]\nservice = \"twilio\"\nfields.account_sid.env = \"A\"", 3, "credential.x.fields.auth_token"),
        (
            "[credential.x]\nservice = \"stripe\"\nfields.kee.env = \"A\"\nfields.key.env = \"A\"",
            3,
            "credential.x.fields.kee",
        ),
        ("[credential.x]\nservice = \"stripe\"\nfields.key = {}", 3, "credential.x.fields.key"),
        ("[credential.x]\nservice = \"stripe\"\nenv = \"A\"\nvars = { a = \"b\" }", 4, "credential.x.vars.a"),
        ("[credential.x]\nservice = \"shop\"\nenv = \"A\"", 1, "credential.x.vars.shop"),
        ("[credential.x]\nservice = \"shop\"\nenv = \"A\"\nvars = { shop = \"evil.com/\" }", 4, "credential.x.vars"),
        (
            "[credential.x]\nservice = \"shop\"\nenv = \"A\"\nvars = { shop = \"a\",\nversion = \"v3\" }",
            5,
            "credential.x.vars.version",
        ),
        ("[credential.X]\nservice = \"stripe\"\nenv = \"A\"", 1, "credential.X"),
        ("[credential.x]\nservice = \"stripe\"\nenv = \"A\"\nenvironment = \"Prod\"", 4, "credential.x.environment"),
        ("[credential.x]\nservice = \"stripe\"\nenvironment = 2020-01-01\nenv = \"A\"", 3, "credential.x.environment"),
    ];
    for (text, line, key) in table {
        one(text, line, key);
    }
}

#[test]
fn all_errors_of_a_file_are_found_in_one_run() {
    let text = r#"[listen]
proxy = "0.0.0.0:8080"
treads = 4

[service.strpe]

[service.billing]
base_url = "https://${HOST_NAM}/api"
auth = { location = "heder", name = "X-API-Key" }
rate = { limit = "fast", burst = "x" }

[credential.x]
service = "billin"
key = "sk_live_123"
"#;
    let expected = [
        (2, "listen.proxy"),
        (3, "listen.treads"),
        (5, "service.strpe"),
        (8, "service.billing.base_url"),
        (9, "service.billing.auth.location"),
        (10, "service.billing.rate.limit"),
        (10, "service.billing.rate.burst"),
        (13, "credential.x.service"),
        (14, "credential.x.key"),
    ];
    assert_eq!(bad(text), expected.map(|(line, key)| (line, key.to_owned())));
    let shown = rendered(text);
    for part in [
        "proxy.toml:5:10: `service.strpe`",
        "did you mean `[service.stripe]`?",
        "did you mean `threads`?",
        "proxy.toml:8:21: `service.billing.base_url`: the environment variable `HOST_NAM` is not set",
        "or use `HOST_NAME`",
        "did you mean `header`?",
        "did you mean `billing`?",
        "a key's value never stands in this file",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("sk_live"), "{shown}");
}

#[test]
fn all_syntax_errors_are_found_with_their_lines() {
    let text = "[listen]\nthreads = = 1\n\n[store]\nurl = sqlite\n\n[callers]\nmode = \"open\"\nmode = \"token\"\n";
    let lines: Vec<usize> = bad(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [2, 5, 9], "{}", rendered(text));
}

#[test]
fn columns_count_characters() {
    let text = "[listen]\nbrowser_origins = [\"é\", \"*\"]";
    let invalid = ConfigErrors::Invalid(load(text).unwrap_err());
    let columns: Vec<usize> = invalid.errors().iter().map(|error| error.column).collect();
    assert_eq!(columns, [20, 25]);
}

#[test]
fn variables_are_expanded_and_an_escape_keeps_them() {
    let config = good(
        "[service.a]\nbase_url = \"https://${HOST_NAME}${EMPTY}/x\"\nauth = { location = \"bearer\" }\n\
         headers = { X-A = \"$1 $${{HOST}} $\" }",
    );
    let service = &config.service("a").unwrap().service;
    assert_eq!(service.base.host.literal().as_deref(), Some("billing.example.com"));
    assert_eq!(service.headers[0].1.literal().as_deref(), Some("$1 ${HOST} $"));
}

#[test]
fn what_cannot_be_expanded_is_pointed_at() {
    one("[store]\nurl = \"sqlite:${NOBODY}\"", 2, "store.url");
    one("[store]\nurl = \"sqlite:${NOBODY\"", 2, "store.url");
    one("[store]\nurl = \"sqlite:${no body}\"", 2, "store.url");
    let invalid = ConfigErrors::Invalid(load("[store]\nurl = \"sqlite:${NOBODY}\"").unwrap_err());
    assert_eq!(invalid.errors()[0].column, 15);
}

#[test]
fn nothing_from_the_environment_is_ever_shown() {
    for text in [
        "[store]\nurl = \"${CANARY}\"",
        "[listen]\nproxy = \"${CANARY}\"",
        "[listen]\nconsole = \"unix:${CANARY}/${CANARY}/${CANARY}/${CANARY}/${CANARY}/${CANARY}/${CANARY}/${CANARY}/x\"",
        "[listen]\nbrowser_origins = [\"${CANARY}\"]",
        "[callers]\nmode = \"${CANARY}\"",
        "[master_key]\nenv = \"${CANARY}\"\nfile = \"${CANARY}\"",
        "[service.stripe]\nauth = { location = \"${CANARY}\" }",
        "[service.stripe]\nauth = { location = \"header\", name = \"${CANARY} x\", value = \"${CANARY}\" }",
        "[service.stripe]\nauth = { location = \"basic\", password = \"${CANARY}\" }",
        "[service.stripe]\nbase_url = \"${CANARY}\"",
        "[service.stripe]\nbase_url = \"https://{${CANARY}}\"",
        "[service.stripe]\nallow = [\"${CANARY}\"]\nhosts = [\"${CANARY}/\"]\npaths = [\"${CANARY}\"]",
        "[service.stripe]\nheaders = { X-A = \"{${CANARY}}\" }",
        "[service.stripe]\nrate = { limit = \"${CANARY}\", max_wait = \"${CANARY}\" }",
        "[service.stripe]\nupstream = { connect_to = \"${CANARY}\", http2 = \"${CANARY}\" }",
        "[service.stripe]\nvars.a = { choices = [\"x\"], default = \"${CANARY}\" }",
        "[service.stripe]\nverify = { path = \"${CANARY}\", method = \"${CANARY}\", body = \"${CANARY}\" }",
        "[credential.x]\nservice = \"${CANARY}\"",
        "[credential.x]\nservice = \"stripe\"\nenvironment = \"A${CANARY}\"\nenv = \"${CANARY}\"",
        "[credential.x]\nservice = \"shop\"\nenv = \"A\"\nvars = { shop = \"${CANARY}/\", version = \"${CANARY}\" }",
    ] {
        let invalid = load(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        let shown = format!("{invalid} {invalid:?} {}", ConfigErrors::Invalid(load(text).unwrap_err()).render(true));
        assert!(!shown.contains("9f2c"), "{text}\n{shown}");
    }
    let environment = environment();
    let config = good("[service.stripe]\nheaders = { X-A = \"${CANARY}\" }\n[store]\nurl = \"sqlite:${CANARY}\"");
    let shown = format!("{config:?} {:?} {:?} {environment:?}", config.services, config.parents);
    assert!(!shown.contains("9f2c"), "{shown}");
}

#[test]
fn a_secret_written_into_the_file_is_masked_when_its_line_is_shown() {
    for text in [
        "[credential.x]\nservice = \"stripe\"\nkey = \"canary-9f2c\"",
        "[credential.x]\nservice = \"stripe\"\nvalue = \"canary-9f2c\"",
        "[credential.x]\nservice = \"stripe\"\nenv = \"A\"\napi_key = 9292",
        "[service.stripe]\nauth = { location = \"bearer\", token = \"canary-9f2c\" }",
        "[service.stripe]\nauth = { location = \"basic\", username = \"canary-9f2c\", password = \"canary-9f2c\" }",
        "[service.stripe]\nauth = { location = \"header\", name = \"X-A\", value = \"canary-9f2c\" }",
        "[service.stripe]\nauth = { location = \"bearer\" }\nheaders = { Authorization = \"canary-9f2c\" }",
        "[credential.x]\nservice = \"stripe\"\nkey = canary-9f2c",
        "[credential.x]\nservice = \"stripe\"\nkey = \"canary-9f2c",
        "[master_key]\nkey = \"canary-9f2c\"",
    ] {
        let invalid = load(text).unwrap_err();
        let shown = format!("{invalid} {invalid:?}");
        assert!(!shown.contains("9f2c") && !shown.contains("9292"), "{text}\n{shown}");
    }
}

#[test]
fn control_characters_cannot_repaint_the_terminal() {
    let shown = rendered("[service.\"\\u001b[31m\"]\nbase_url = \"https://a.example\"");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn an_open_proxy_on_the_network_is_refused_and_with_tokens_it_is_not() {
    for address in ["0.0.0.0:8080", "10.0.0.1:8080", "[::]:8080", "[2001:db8::1]:80"] {
        one(&format!("[listen]\nproxy = \"{address}\""), 2, "listen.proxy");
        good(&format!("[listen]\nproxy = \"{address}\"\n[callers]\nmode = \"token\""));
    }
    for address in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "unix:/run/s.sock"] {
        good(&format!("[listen]\nproxy = \"{address}\""));
    }
}

#[test]
fn the_first_file_that_exists_counts() {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let environment =
        Environment::of_pairs([("XDG_CONFIG_HOME", home.path().to_str().unwrap())]).in_folder(folder.path());
    std::fs::create_dir(home.path().join("sidekey")).unwrap();
    std::fs::write(home.path().join("sidekey/proxy.toml"), "[listen]\nthreads = 1").unwrap();
    let loaded = Config::load(None, &environment).unwrap();
    assert_eq!((loaded.config.listen.threads, loaded.path), (1, Some(home.path().join("sidekey/proxy.toml"))));
    assert_eq!(loaded.config.data, home.path().join("sidekey/data"));

    std::fs::write(folder.path().join("proxy.toml"), "[listen]\nthreads = 2").unwrap();
    let loaded = Config::load(None, &environment).unwrap();
    assert_eq!((loaded.config.listen.threads, loaded.config.data), (2, folder.path().join("data")));

    std::fs::write(folder.path().join("other.toml"), "[listen]\nthreads = 3").unwrap();
    let loaded = Config::load(Some(Path::new("other.toml")), &environment).unwrap();
    assert_eq!((loaded.config.listen.threads, loaded.text_digest), (3, sha256(b"[listen]\nthreads = 3")));

    let missing = Config::load(Some(Path::new("missing.toml")), &environment).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read missing.toml: "), "{missing}");
    std::fs::write(folder.path().join("proxy.toml"), b"a = 1\n\xff").unwrap();
    let error = Config::load(None, &environment).unwrap_err();
    assert_eq!(error.errors()[0].line, 1, "{error}");
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn without_a_file_paths_start_at_the_current_folder() {
    let environment = Environment::of_pairs([("HOME", "/home/ada")]).in_folder(Path::new("/work"));
    let expected = ["proxy.toml", "/home/ada/.config/sidekey/proxy.toml", "/etc/sidekey/proxy.toml"];
    assert_eq!(locate::candidates(&environment), expected.map(PathBuf::from));
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::of_pairs([]).in_folder(folder.path());
    if !Path::new("/etc/sidekey/proxy.toml").exists() {
        let loaded = Config::load(None, &environment).unwrap();
        assert_eq!((loaded.path, loaded.config.store), (None, folder.path().join("data/sidekey.db")));
    }
}

#[test]
fn the_environment_lends_secrets_and_prints_none() {
    let environment = environment();
    assert_eq!(environment.secret("CANARY").map(|secret| secret.len()), Some(11));
    assert!(environment.secret("NOBODY").is_none());
    assert!(Environment::of_process().names().count() > 0);
}

/// Fragments from which a broken file is put together.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        Just("\n".to_owned()),
        Just("[service.stripe]\n".to_owned()),
        Just("[credential.x]\nservice = \"stripe\"\n".to_owned()),
        Just("auth = { location = \"header\", name = \"é\" }\n".to_owned()),
        Just("auth = [{}, 1, { location = 5 }]\n".to_owned()),
        Just("rate = { limit = \"x\" }\n".to_owned()),
        Just("url = \"${\"\r\n".to_owned()),
        Just("a.b.c = \"\"\"\nü${X}\n\"\"\"\n".to_owned()),
        "[a-z]{1,8} = \"\\PC{0,10}\"\n",
    ]
}

proptest! {
    #[test]
    fn garbage_never_panics_and_every_error_has_a_line_of_the_file(parts in proptest::collection::vec(fragment(), 0..8)) {
        let text = parts.concat();
        if let Err(invalid) = load(&text) {
            let lines = text.lines().count().max(1);
            let shown = invalid.to_string();
            for error in ConfigErrors::Invalid(invalid).errors() {
                prop_assert!(error.line >= 1 && error.line <= lines, "line {} of {lines} in {text:?}", error.line);
                let place = format!("proxy.toml:{}:{}: ", error.line, error.column);
                prop_assert!(shown.contains(&place), "{}", shown);
                prop_assert!(error.problem != "the file does not have the expected form", "{}", text);
            }
        }
    }
}
