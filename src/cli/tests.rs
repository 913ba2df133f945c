//! The command line without a process: a terminal that answers by heart, and screens that are read afterwards.

mod services;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{FromArgMatches as _, Parser};
use serde_json::json;
use zeroize::Zeroizing;

use super::session::{Screen, Session, Terminal};
use super::table::List;
use super::values::Source;
use super::*;
use crate::config::Environment;
use crate::domain::{Clock, Fields, Name, Service};

/// What nothing may ever show.
const CANARY: &str = "sk_live_C4nary0000000000000000000001";

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A person who answers in this order, or nobody; and what stands on the standard input.
#[derive(Default)]
struct Person {
    answers: Option<VecDeque<String>>,
    input: Vec<u8>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Person {
    fn answer(&mut self, question: &str) -> String {
        self.asked.borrow_mut().push(question.to_owned());
        self.answers.as_mut().unwrap().pop_front().expect("a question too many")
    }
}

impl Terminal for Person {
    fn answers(&self) -> bool {
        self.answers.is_some()
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        Ok(self.answer(question))
    }

    fn ask_hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(self.answer(&format!("hidden: {question}"))))
    }

    fn input(&mut self, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        super::session::read_limited(self.input.as_slice(), most)
    }
}

/// 2026-11-23T12:00:00Z, for ever.
struct Stopped;

const NOW: i64 = 1_795_435_200;

impl Clock for Stopped {
    fn now(&self) -> Instant {
        crate::domain::SystemClock.now()
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(u64::try_from(NOW).unwrap())
    }
}

struct Stage {
    session: Session,
    out: Paper,
    error: Paper,
    asked: Rc<RefCell<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn with(person: Person, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (out, error, asked) = (Paper::default(), Paper::default(), Rc::clone(&person.asked));
        let screen = Screen {
            out: Box::new(out.clone()),
            error: Box::new(error.clone()),
            is_terminal: false,
            error_is_terminal: false,
            plain: true,
            width: None,
        };
        let session = Session {
            config: None,
            environment: Environment::of_pairs(variables.iter().copied()).in_folder(folder.path()),
            terminal: Box::new(person),
            screen,
            clock: Box::new(Stopped),
        };
        Self { session, out, error, asked, _folder: folder }
    }

    fn nobody() -> Self {
        Self::with(Person::default(), &[])
    }

    fn piped(input: impl AsRef<[u8]>) -> Self {
        Self::with(Person { input: input.as_ref().to_vec(), ..Person::default() }, &[])
    }

    fn answering<const N: usize>(answers: [&str; N]) -> Self {
        Self::with(Person { answers: Some(answers.map(str::to_owned).into()), ..Person::default() }, &[])
    }

    fn said(&self) -> String {
        self.out.text() + &self.error.text()
    }

    /// Runs a command line; its exit code.
    fn run(&mut self, line: &[&str]) -> u8 {
        let cli = parse(line).unwrap_or_else(|error| panic!("{error}"));
        self.session.config = cli.config;
        match super::run(cli.command, &mut self.session) {
            Ok(()) => 0,
            Err(error) => {
                failure::report(&error, &mut self.session);
                failure::code(&error)
            }
        }
    }
}

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    let arguments: Vec<OsString> = std::iter::once("sidekey").chain(line.iter().copied()).map(OsString::from).collect();
    arguments::command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| refuse::without_values(error, &arguments))
}

fn refusal(line: &[&str]) -> (String, i32) {
    let error = parse(line).map(|_| ()).expect_err("it was taken");
    (error.render().to_string(), error.exit_code())
}

fn service(name: &str) -> Service {
    let loaded = Stage::nobody().session.load().unwrap();
    (*loaded.config.service(name).unwrap().service).clone()
}

#[derive(Parser)]
struct Given {
    #[command(flatten)]
    source: Source,
}

fn read(flags: &[&str], service: &Service, stage: &mut Stage) -> anyhow::Result<Fields> {
    let given = Given::try_parse_from(std::iter::once("x").chain(flags.iter().copied())).unwrap();
    given.source.read(service, &mut stage.session)
}

fn names(fields: &Fields) -> Vec<(String, usize)> {
    fields.iter().map(|(name, secret)| (name.to_string(), secret.len())).collect()
}

fn value<'a>(fields: &'a Fields, name: &str) -> &'a [u8] {
    fields.get(name).unwrap().expose()
}

// Help.

#[test]
fn every_command_has_a_help_with_examples() {
    fn check(path: &[String], command: &clap::Command) {
        let mut line: Vec<&str> = path.iter().map(String::as_str).collect();
        line.push("--help");
        let error = parse(&line).map(|_| ()).unwrap_err();
        let help = error.render().to_string();
        assert_eq!(error.exit_code(), 0, "{line:?}");
        assert!(
            help.contains("Examples:\n  sidekey") || help.contains("Examples:\n  "),
            "{line:?} has no examples\n{help}"
        );
        assert!(command.get_about().is_some() && command.get_long_about().is_some(), "{line:?} says nothing of itself");
        for inner in command.get_subcommands() {
            check(&[path, &[inner.get_name().to_owned()]].concat(), inner);
        }
    }
    arguments::command().debug_assert();
    check(&[], &arguments::command());
}

#[test]
fn every_example_is_a_command_line_that_is_understood() {
    fn texts(command: &clap::Command, into: &mut Vec<String>) {
        into.extend(command.get_after_long_help().map(ToString::to_string));
        command.get_subcommands().for_each(|inner| texts(inner, into));
    }
    let mut helps = Vec::new();
    texts(&arguments::command(), &mut helps);
    let lines = helps.iter().flat_map(|help| help.lines()).filter_map(|line| line.strip_prefix("  sidekey "));
    let mut seen = 0;
    for line in lines {
        // Up to the explanation, the pipe or the redirection.
        let bare = line.split("   ").next().unwrap().split([';', '|', '>', '&']).next().unwrap();
        let words: Vec<String> = bare
            .split('\'')
            .enumerate()
            .flat_map(|(at, part)| {
                if at % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
            })
            .collect();
        let words: Vec<&str> = words.iter().map(|word| word.trim_matches('"')).collect();
        assert!(parse(&words).is_ok(), "not understood: sidekey {bare}");
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn the_manual_and_the_completions_name_every_command() {
    let mut stage = Stage::nobody();
    assert_eq!(stage.run(&["man"]), 0);
    assert!(stage.out.text().contains("sidekey\\-rotate") || stage.out.text().contains("sidekey\\-key"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut stage = Stage::nobody();
        assert_eq!(stage.run(&["completions", shell]), 0);
        assert!(stage.out.text().contains("rollback"), "{shell}");
    }
}

// Values on the command line.

#[test]
fn a_value_as_an_argument_is_refused_and_not_repeated() {
    let flag = format!("--stdin={CANARY}");
    let unknown = format!("--value={CANARY}");
    let short = format!("-{CANARY}");
    for line in [
        vec!["key", "add", "stripe", CANARY],
        vec!["key", "add", "stripe", "hunter"],
        vec!["key", "add", CANARY],
        vec!["key", "rotate", "stripe", CANARY],
        vec!["key", "add", "stripe", &flag],
        vec!["key", "add", "stripe", &unknown],
        vec!["key", "add", "stripe", &short],
        vec!["key", "add", "stripe", "--name", CANARY],
        vec!["key", CANARY],
        vec!["--config", "x.toml", "key", "add", "stripe", CANARY],
    ] {
        let (text, code) = refusal(&line);
        assert!(!text.contains("C4nary") && !text.contains("hunter"), "{line:?}: {text}");
        assert_eq!(code, 2, "{line:?}");
    }
    assert!(refusal(&["key", "add", "stripe", CANARY]).0.contains("--stdin"));
}

#[test]
fn a_misspelt_word_is_still_pointed_out() {
    assert!(refusal(&["key", "add", "stripe", "--nmae", "x"]).0.contains("'--name'"));
    assert!(refusal(&["key", "lst"]).0.contains("'list'"));
}

#[test]
fn a_key_in_the_place_of_a_service_is_not_repeated() {
    let mut stage = Stage::piped("x");
    assert_eq!(stage.run(&["key", "add", &CANARY.to_lowercase(), "--stdin"]), 2);
    assert!(!stage.said().contains("c4nary"), "{}", stage.said());
    assert_eq!(stage.run(&["key", "add", "strip", "--stdin"]), 2);
    assert!(stage.said().contains("Did you mean `stripe`?"), "{}", stage.said());
}

// Reading values.

#[test]
fn one_value_is_asked_for_hidden_and_only_its_length_is_shown() {
    let mut stage = Stage::answering([CANARY]);
    let fields = read(&[], &service("stripe"), &mut stage).unwrap();
    assert_eq!(names(&fields), [("key".to_owned(), CANARY.len())]);
    assert_eq!(*stage.asked.borrow(), ["hidden: Key for Stripe (hidden): "]);
    assert!(stage.said().contains("36 bytes"), "{}", stage.said());
    assert!(!stage.said().contains("C4nary"));
}

#[test]
fn each_field_is_asked_for() {
    let mut stage = Stage::answering(["AC123", "secret"]);
    let fields = read(&[], &service("twilio"), &mut stage).unwrap();
    assert_eq!((value(&fields, "account_sid"), value(&fields, "auth_token")), (&b"AC123"[..], &b"secret"[..]));
    assert_eq!(stage.asked.borrow().len(), 2);
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let mut stage = Stage::nobody();
    let error = read(&[], &service("stripe"), &mut stage).unwrap_err();
    assert_eq!(failure::code(&error), 2);
    assert!(error.to_string().contains("--stdin"), "{error}");
    assert!(stage.asked.borrow().is_empty());
}

#[test]
fn one_newline_at_the_end_of_the_input_is_taken_off_and_said() {
    let mut stage = Stage::piped(format!("{CANARY}\r\n"));
    let fields = read(&["--stdin"], &service("stripe"), &mut stage).unwrap();
    assert_eq!(value(&fields, "key"), CANARY.as_bytes());
    assert!(stage.said().contains("newline"), "{}", stage.said());
}

#[test]
fn a_value_with_an_equals_sign_stays_whole_for_a_single_field() {
    let fields = read(&["--stdin"], &service("stripe"), &mut Stage::piped("key=abc==")).unwrap();
    assert_eq!(value(&fields, "key"), b"key=abc==");
}

#[test]
fn several_fields_come_as_lines_in_any_order() {
    let text = "\nauth_token=a=b\r\n account_sid =AC1\n";
    let fields = read(&["--stdin"], &service("twilio"), &mut Stage::piped(text)).unwrap();
    assert_eq!((value(&fields, "account_sid"), value(&fields, "auth_token")), (&b"AC1"[..], &b"a=b"[..]));
}

#[test]
fn wrong_lines_are_refused_without_being_repeated() {
    let twice = format!("account_sid=1\nauth_token={CANARY}\nauth_token={CANARY}\n");
    for text in [CANARY, "account_sid=C4nary\n", "C4nary=1\naccount_sid=1\nauth_token=2\n", &twice] {
        let mut stage = Stage::piped(text);
        let error = read(&["--stdin"], &service("twilio"), &mut stage).unwrap_err();
        let said = failure::text(&error, false) + &stage.said();
        assert!(!said.contains("C4nary"), "{said}");
        assert!(said.contains("field") || said.contains("auth_token"), "{said}");
        assert_eq!(failure::code(&error), 2);
    }
}

#[test]
fn values_that_no_header_can_carry_are_refused_without_being_repeated() {
    for text in ["", "\n", "C4nary\nC4nary", " C4nary", "C4nary\0", "C4nary\n\n"] {
        let error = read(&["--stdin"], &service("stripe"), &mut Stage::piped(text)).unwrap_err();
        assert!(!failure::text(&error, false).contains("C4nary"), "{text:?}");
    }
    let long = vec![b'x'; 70_000];
    assert!(read(&["--stdin"], &service("stripe"), &mut Stage::piped(long)).is_err());
}

#[test]
fn a_value_comes_from_a_variable_or_a_file() {
    let mut stage = Stage::with(Person::default(), &[("STRIPE_KEY", CANARY)]);
    let fields = read(&["--from-env", "STRIPE_KEY"], &service("stripe"), &mut stage).unwrap();
    assert_eq!(value(&fields, "key"), CANARY.as_bytes());
    std::fs::write(stage.session.environment.folder().join("key.txt"), format!("{CANARY}\n")).unwrap();
    let fields = read(&["--from-file", "key.txt"], &service("stripe"), &mut stage).unwrap();
    assert_eq!(value(&fields, "key"), CANARY.as_bytes());
    assert!(!stage.said().contains("C4nary"));
}

#[test]
fn a_key_in_the_place_of_a_variable_or_a_file_is_not_repeated() {
    for flag in ["--from-env", "--from-file"] {
        let error = read(&[flag, CANARY], &service("stripe"), &mut Stage::nobody()).unwrap_err();
        assert!(!failure::text(&error, false).contains("C4nary"), "{error:#}");
    }
}

#[test]
fn a_value_has_only_one_source() {
    assert!(parse(&["key", "add", "stripe", "--stdin", "--from-env", "X"]).is_err());
    assert!(parse(&["key", "add", "stripe", "--from-file", "y", "--from-env", "X"]).is_err());
}

// Variables.

fn complete(given: &[&str], stage: &mut Stage) -> anyhow::Result<BTreeMap<Name, String>> {
    let given: Vec<_> = given.iter().map(|text| variables::pair(text).unwrap()).collect();
    variables::complete(&service("zendesk"), &given, &mut stage.session)
}

#[test]
fn variables_are_taken_as_given_and_the_rest_is_asked_for() {
    let mut stage = Stage::answering(["agent@example.com"]);
    let values = complete(&["subdomain=acme"], &mut stage).unwrap();
    assert_eq!(values.get("subdomain").map(String::as_str), Some("acme"));
    assert_eq!(values.get("email").map(String::as_str), Some("agent@example.com"));
    assert!(stage.asked.borrow()[0].contains("such as agent@example.com"), "{:?}", stage.asked);
}

#[test]
fn missing_unknown_and_repeated_variables_are_refused() {
    for (given, says) in [
        (vec!["subdomain=acme"], "--var email=agent@example.com"),
        (vec!["tenant=acme"], "email, subdomain"),
        (vec!["subdomain=a", "subdomain=b"], "twice"),
        (vec!["subdomain="], "no value"),
    ] {
        let error = complete(&given, &mut Stage::nobody()).unwrap_err();
        assert!(error.to_string().contains(says), "{given:?}: {error}");
        assert_eq!(failure::code(&error), 2);
    }
    assert!(variables::pair("acme").is_err());
}

// Moments.

#[test]
fn expiry_is_a_date_a_moment_or_a_duration() {
    assert_eq!(moment::expiry("2026-11-23", NOW), Some(NOW + 12 * 3600));
    assert_eq!(moment::expiry("2026-11-23T12:00:00Z", NOW), Some(NOW));
    assert_eq!(moment::expiry("2026-11-23T13:00:00+01:00", NOW), Some(NOW));
    assert_eq!(moment::expiry("90d", NOW), Some(NOW + 90 * 86400));
    assert_eq!(moment::past("24h", NOW), Some(NOW - 86400));
    assert_eq!(moment::past("2026-11-23", NOW), Some(NOW - 12 * 3600));
    for wrong in ["", "tomorrow", "2026-13-01", "2026-02-30", "12", "23.11.2026", "99999999999999999d"] {
        assert_eq!(moment::expiry(wrong, NOW), None, "{wrong}");
    }
}

#[test]
fn moments_are_shown_in_utc() {
    assert_eq!(moment::shown(NOW), "2026-11-23 12:00");
    assert_eq!(moment::shown_to_the_second(NOW), "2026-11-23 12:00:00");
    let left = [-5, 59, 60, 290, 7_200, 7_530, 172_800, 379_779].map(|time| moment::left(NOW + time, NOW));
    assert_eq!(left, ["0 s", "59 s", "1 min", "4 min 50 s", "2 h", "2 h 5 min", "2 d", "4 d 9 h"]);
    let shown = [0, 59, 60, 7200, 172_800].map(|age| moment::ago(NOW - age, NOW));
    assert_eq!(shown, ["just now", "just now", "1 min ago", "2 h ago", "2 d ago"]);
}

// Lists.

fn list() -> List {
    let mut list = List::new(&["NAME", "NOTE"], "nothing");
    list.add(vec!["a".into(), "first".into()], json!({ "name": "a" }));
    list.add(vec!["long-name".into(), String::new()], json!({ "name": "long-name" }));
    list
}

#[test]
fn a_piped_list_is_plain_and_aligned() {
    let mut stage = Stage::nobody();
    list().show(false, &mut stage.session.screen).unwrap();
    assert_eq!(stage.out.text(), "NAME       NOTE\na          first\nlong-name\n");
}

#[test]
fn a_list_on_a_terminal_has_lines_and_fits() {
    let mut stage = Stage::nobody();
    (stage.session.screen.is_terminal, stage.session.screen.width) = (true, Some(30));
    list().show(false, &mut stage.session.screen).unwrap();
    assert!(stage.out.text().contains('─'));
    assert!(stage.out.text().lines().all(|line| line.chars().count() <= 30), "{}", stage.out.text());
}

#[test]
fn a_list_as_json_has_a_version_and_items() {
    let mut stage = Stage::nobody();
    list().show(true, &mut stage.session.screen).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&stage.out.text()).unwrap();
    assert_eq!(shown, json!({ "version": 1, "items": [{ "name": "a" }, { "name": "long-name" }] }));
    let mut stage = Stage::nobody();
    List::new(&["NAME"], "nothing").show(true, &mut stage.session.screen).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stage.out.text()).unwrap()["items"], json!([]));
}

#[test]
fn an_empty_list_says_so_beside_the_results() {
    let mut stage = Stage::nobody();
    List::new(&["NAME"], "nothing").show(false, &mut stage.session.screen).unwrap();
    assert_eq!((stage.out.text(), stage.error.text()), (String::new(), "nothing\n".to_owned()));
}

// Where keys go.

#[test]
fn places_are_shown_as_they_look_in_the_request() {
    let shown = |name: &str| ways::places(&service(name));
    assert_eq!(shown("stripe"), "Authorization: Bearer …");
    assert_eq!(shown("twilio"), "Authorization: Basic <account_sid>:<auth_token>");
}

#[test]
fn hosts_are_filled_from_the_variables() {
    let zendesk = service("zendesk");
    let values = BTreeMap::from([(Name::new("subdomain").unwrap(), "acme".to_owned())]);
    assert_eq!(ways::hosts(&zendesk, &values), ["acme.zendesk.com"]);
    assert_eq!(ways::base_url(&zendesk, &BTreeMap::new()), "https://{subdomain}.zendesk.com");
    assert!(ways::hosts_in_short(&service("twilio"), &BTreeMap::new()).ends_with(" more"));
}

#[test]
fn the_proxy_is_shown_as_a_client_reaches_it() {
    let listen = |text: &[&str]| {
        let list: Vec<_> = text
            .iter()
            .map(|text| match text.strip_prefix("unix:") {
                Some(path) => crate::config::ListenAddress::Unix(path.into()),
                None => crate::config::ListenAddress::Tcp(text.parse().unwrap()),
            })
            .collect();
        ways::proxy_url(&list)
    };
    assert_eq!(listen(&["127.0.0.1:8080"]).as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(listen(&["unix:/run/s.sock", "0.0.0.0:9000"]).as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!(listen(&["[::]:9000"]).as_deref(), Some("http://[::1]:9000"));
    assert_eq!(listen(&["unix:/run/s.sock"]), None);
}

// Errors.

#[test]
fn errors_are_told_with_their_causes_and_codes() {
    let inner = io::Error::other("the disk is full");
    let error = anyhow::Error::from(inner).context("the key was not added");
    assert_eq!(failure::text(&error, false), "error: the key was not added\n  because: the disk is full\n");
    assert_eq!(failure::code(&error), 1);
    assert_eq!(failure::code(&failure::wrong_use("x").context("y")), 2);
}

#[test]
fn a_wrong_configuration_ends_with_2_and_every_error() {
    let mut stage = Stage::nobody();
    let file = stage.session.environment.folder().join("proxy.toml");
    std::fs::write(&file, "[listen]\nproxi = 1\n[service.x]\nbase_url = 7\n").unwrap();
    assert_eq!(stage.run(&["check"]), 2);
    assert!(stage.error.text().contains("proxy.toml:2:1"), "{}", stage.error.text());
    assert!(stage.error.text().contains("proxy.toml:4:"), "{}", stage.error.text());
    assert!(stage.out.text().is_empty());
    std::fs::write(&file, "[service.own]\nbase_url = \"https://own.example.com\"\n").unwrap();
    assert_eq!(stage.run(&["check"]), 0);
    let said = stage.out.text();
    assert!(said.starts_with("proxy.toml: ok (") && said.contains(" services, 0 credentials)"), "{said}");
}

#[test]
fn an_output_that_nobody_reads_any_more_is_no_failure() {
    let gone: anyhow::Error = io::Error::from(io::ErrorKind::BrokenPipe).into();
    let mut stage = Stage::nobody();
    assert_eq!(failure::report(&gone.context("x"), &mut stage.session), ExitCode::SUCCESS);
    assert!(stage.error.text().is_empty());
}

// Services.

#[test]
fn services_are_searched_by_words_hosts_and_categories() {
    let mut stage = Stage::nobody();
    assert_eq!(stage.run(&["service", "search", "STRIPE"]), 0);
    assert!(stage.out.text().lines().nth(1).unwrap().starts_with("stripe "), "{}", stage.out.text());
    let mut stage = Stage::nobody();
    assert_eq!(stage.run(&["service", "search", "api.stripe.com", "--json"]), 0);
    let found: serde_json::Value = serde_json::from_str(&stage.out.text()).unwrap();
    assert_eq!(found["items"][0]["name"], "stripe");
    let mut stage = Stage::nobody();
    assert_eq!(stage.run(&["service", "search", "strpie"]), 0);
    assert!(stage.error.text().contains("Did you mean `stripe`?"), "{}", stage.error.text());
}

/// The commands that do something, as they are written: `key add`.
fn leaves(command: &clap::Command, above: &str) -> Vec<String> {
    let mut found = Vec::new();
    for below in command.get_subcommands() {
        let name = format!("{above}{}", below.get_name());
        if below.has_subcommands() { found.extend(leaves(below, &format!("{name} "))) } else { found.push(name) }
    }
    found
}

#[test]
fn every_command_and_every_route_of_the_api_stand_in_its_page() {
    let page = include_str!("../../docs/admin-api.md");
    let (_, table) = page.split_once("## Command and route").unwrap();
    let commands = leaves(&super::arguments::command(), "").into_iter().filter(|name| !name.starts_with("help"));
    let missing: Vec<_> = commands.filter(|name| !table.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "say in docs/admin-api.md by which route the API does this, or why not: {missing:?}");
    let described: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let paths = described["paths"].as_object().unwrap().keys();
    let missing: Vec<_> = paths.filter(|path| !table.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "name these in docs/admin-api.md: {missing:?}");
}
