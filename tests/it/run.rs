//! Programs that are run with everything set: variables, files, a token for one run, signals and exit codes.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Ask, FakeUpstream, Wire, World, connect, eventually, skip};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

fn guarded(upstream: &FakeUpstream) -> World {
    let world = World::new().service("api", upstream, KEY).toml("[callers]\nmode = \"token\"\n");
    let world = world.key("api", "api-prod", "s3cret");
    world.sidekey(["caller", "add", "etl"]).run().succeeds();
    world.serve()
}

/// `sidekey run` with these arguments, in the background.
fn started(world: &World, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.arg("--config").arg(world.config()).arg("run").args(arguments).current_dir(world.dir()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", world.dir());
    command.stdin(Stdio::null()).spawn().unwrap()
}

/// Whether there is such a program.
fn is_there(program: &str) -> bool {
    Command::new(program).stdout(Stdio::null()).stderr(Stdio::null()).arg("--help").status().is_ok()
}

fn status_with(world: &World, proof: &str) -> u16 {
    Ask::new(&world.proxy(), "GET", "/-/whoami").header("Proxy-Authorization", proof).reply().status
}

#[test]
fn a_program_finds_the_proxy_and_the_authority_in_every_spelling() {
    let upstream = FakeUpstream::plain();
    let world = World::new().catalogued("openai", &upstream).serve();
    let world = world.key("openai", "main", "s3cret");
    let told = world.sidekey(["run", "--", "env"]).env("NO_PROXY", "corp.test").env("STRIPE_API_KEY", "own");
    let told = told.env("NODE_OPTIONS", "--max-old-space-size=64").run().succeeds();
    let value = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name}:\n{told}")).to_owned()
    };
    let proxy = format!("http://{}", world.proxy());
    for name in
        ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "WSS_PROXY", "wss_proxy", "ALL_PROXY", "all_proxy"]
    {
        assert_eq!(value(name), proxy, "{name}");
    }
    assert_eq!((value("NO_PROXY"), value("no_proxy")), (value("no_proxy"), "corp.test,localhost,127.0.0.1,::1".into()));
    let ca = world.ca_pem();
    for name in ["NODE_EXTRA_CA_CERTS", "DENO_CERT"] {
        assert_eq!(fs::read_to_string(value(name)).unwrap(), ca, "{name}");
    }
    for name in [
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "AWS_CA_BUNDLE",
        "PIP_CERT",
        "CARGO_HTTP_CAINFO",
        "npm_config_cafile",
    ] {
        assert!(fs::read_to_string(value(name)).unwrap().ends_with(&ca), "{name}");
    }
    let before = "--max-old-space-size=64 --require ";
    assert!(fs::read_to_string(value("NODE_OPTIONS").strip_prefix(before).unwrap()).unwrap().contains("'use strict'"));
    assert_eq!(value("PERL_LWP_ENV_PROXY"), "1");
    assert_eq!((value("NODE_USE_ENV_PROXY").as_str(), value("OPENAI_API_KEY").as_str()), ("1", "sidekey"));
    assert_eq!(value("STRIPE_API_KEY"), "own", "what is set stays");
    assert!(!told.contains("ANTHROPIC_API_KEY"), "there is no key for it");
}

#[test]
fn the_exit_code_is_the_program_s() {
    let world = World::new().serve();
    let code = |arguments: &[&str]| {
        let all: Vec<&str> = ["run", "--"].iter().chain(arguments).copied().collect();
        world.sidekey(all).run().code
    };
    assert_eq!(code(&["sh", "-c", "exit 0"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(code(&["no-such-program-at-all"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
}

#[test]
fn a_run_has_a_token_that_ends_with_it_and_signals_reach_its_program() {
    let upstream = FakeUpstream::plain();
    let world = guarded(&upstream);
    let script =
        "trap 'exit 42' TERM; printf %s \"$https_proxy\" > seen.new; mv seen.new seen; while :; do sleep 0.05; done";
    let mut run = started(&world, &["--as", "etl", "--", "sh", "-c", script]);
    eventually("the program runs", || world.path("seen").exists());
    let seen = fs::read_to_string(world.path("seen")).unwrap();
    let (name, token) = seen.strip_prefix("http://").unwrap().split_once('@').unwrap().0.split_once(':').unwrap();
    assert!(name == "etl" && token.starts_with("skc_"), "{seen}");
    let proof = format!("Bearer {token}");
    assert_eq!(status_with(&world, &proof), 200, "the proxy knew it before the program began");
    let mut wire = world.tunnel("api.test:443", &format!("Proxy-Authorization: {proof}\r\n")).tls(
        "api.test",
        &world.ca_pem(),
        &[],
    );
    assert_eq!(Ask::new("api.test", "GET", "/v1").reply_on(&mut wire).status, 200);
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(42));
    eventually("the token is worth nothing", || status_with(&world, &proof) != 200);
    let acts = world.sidekey(["audit", "export"]).run().succeeds();
    assert!(acts.contains("\"caller.run\"") && !acts.contains(token), "{acts}");
}

#[test]
fn a_program_that_shows_no_token_has_a_door_of_its_run_and_strangers_have_none() {
    if !is_there("keytool") {
        return skip("Java, which shows no token, is not installed");
    }
    let upstream = FakeUpstream::plain();
    let world = guarded(&upstream);
    let script = "printf %s \"$JAVA_TOOL_OPTIONS\" > seen.new; mv seen.new seen; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let mut run = started(&world, &["--as", "etl", "--", "sh", "-c", script]);
    eventually("the program runs", || world.path("seen").exists());
    let seen = fs::read_to_string(world.path("seen")).unwrap();
    assert!(!seen.contains("skc_"), "{seen}");
    let port = seen.split_whitespace().find_map(|word| word.strip_prefix("-Dhttps.proxyPort=")).unwrap();
    let door = format!("127.0.0.1:{port}");
    assert_ne!(door, world.proxy());
    assert_eq!(Ask::new(&door, "GET", "http://api.test/v1").reply().status, 200);
    assert_eq!(upstream.last_request().values("x-api-key"), ["s3cret"]);
    assert_eq!(Ask::new(&door, "GET", "/api/v1").reply().status, 403, "that is what web pages can send");
    let mut wire = Wire::to(&door);
    let answer = wire.send(connect("api.test:443", "")).reply_to("CONNECT");
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut wire = wire.tls("api.test", &world.ca_pem(), &[]);
    assert_eq!(Ask::new("api.test", "GET", "/v1").reply_on(&mut wire).status, 200);
    if rustix::process::geteuid().is_root() && is_there("curl") {
        let count = upstream.requests().len();
        let mut stranger = Command::new("curl");
        stranger.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", &door, "http://api.test/v1"]).uid(65_534);
        assert_eq!(String::from_utf8_lossy(&stranger.output().unwrap().stdout), "403");
        assert_eq!(upstream.requests().len(), count);
    }
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(std::net::TcpStream::connect(&door).is_err(), "the door is gone with its run");
}

#[test]
fn a_run_that_cannot_be_says_why_before_the_program_begins() {
    let upstream = FakeUpstream::plain();
    let mut world = guarded(&upstream);
    let nobody = world.sidekey(["run", "--", "touch", "begun"]).run();
    assert!(nobody.code == Some(2) && nobody.stderr.contains("--as CALLER"), "{nobody:?}");
    let stranger = world.sidekey(["run", "--as", "nobody", "--", "touch", "begun"]).run();
    assert!(stranger.code == Some(1) && stranger.stderr.contains("there is no caller `nobody`"), "{stranger:?}");
    world.stop();
    let silent = world.sidekey(["run", "--as", "etl", "--", "touch", "begun"]).run();
    assert!(silent.code == Some(1) && silent.stderr.contains("sidekey up"), "{silent:?}");
    assert!(!world.path("begun").exists());
}

#[test]
fn what_goes_around_the_proxy_is_kept_and_told_where_it_takes_a_key_away() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, KEY).key("api", "api-prod", "s3cret").serve();
    let run = |variables: &[(&str, &str)]| {
        let run = world.sidekey(["run", "--", "sh", "-c", "echo $NO_PROXY $no_proxy"]);
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run()
    };
    let merged = run(&[("NO_PROXY", "corp.test, 10.0.0.0/8"), ("no_proxy", "localhost,corp.test")]);
    let both = "localhost,corp.test,10.0.0.0/8,127.0.0.1,::1";
    assert_eq!((merged.stdout.trim(), merged.stderr.as_str()), (format!("{both} {both}").as_str(), ""));
    for around in ["api.test", ".test", "*"] {
        let told = run(&[("NO_PROXY", around)]);
        assert!(
            told.code == Some(0) && told.stderr.contains("NO_PROXY has api.test called without the proxy"),
            "{told:?}"
        );
    }
}

#[test]
fn curl_calls_the_https_url_as_it_is() {
    if !is_there("curl") {
        return skip("curl is not installed");
    }
    let upstream = FakeUpstream::tls();
    let world = guarded(&upstream);
    for version in ["--http1.1", "--http2"] {
        let told = world
            .sidekey(["run", "--as", "etl", "--", "curl", "-sS", version, "https://api.test/v1?q"])
            .run()
            .succeeds();
        assert_eq!(told, r#"{"ok":true}"#);
        let seen = upstream.last_request();
        assert_eq!((seen.target.as_str(), seen.values("x-api-key")), ("/v1?q", vec!["s3cret"]));
    }
}

#[test]
fn what_a_run_sets_is_printed_for_others_without_a_token() {
    let upstream = FakeUpstream::plain();
    let world = guarded(&upstream);
    let proxy = world.proxy();
    for (format, begin) in [
        ("sh", format!("export HTTP_PROXY=\"http://etl:${{SIDEKEY_TOKEN}}@{proxy}\"")),
        ("docker", format!("ARG SIDEKEY_TOKEN\nENV HTTP_PROXY=\"http://etl:${{SIDEKEY_TOKEN}}@{proxy}\"")),
        ("github", format!("echo \"HTTP_PROXY=http://etl:${{SIDEKEY_TOKEN}}@{proxy}\" >> \"$GITHUB_ENV\"")),
    ] {
        let told = world.sidekey(["env", "--as", "etl", "--format", format]).run().succeeds();
        assert!(told.starts_with(&begin), "{told}");
        assert!(told.contains("SSL_CERT_FILE") && !told.contains("skc_"), "{told}");
    }
    // systemd expands nothing in what it sets.
    let refused = world.sidekey(["env", "--as", "etl", "--format", "systemd"]).run().fails_with(2);
    assert!(refused.contains("ExecStart=sidekey run --as etl"), "{refused}");
    let told = world.sidekey(["env", "--format", "systemd"]).run().succeeds();
    assert!(told.starts_with(&format!("Environment=\"HTTP_PROXY=http://{proxy}\"\n")), "{told}");
    let told = world.sidekey(["env"]).run().succeeds();
    let shell = Command::new("sh").args(["-c", "eval \"$1\"; echo $https_proxy", "sh", &told]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shell.stdout).trim(), format!("http://{proxy}"));
    let step = world.sidekey(["env", "--as", "etl", "--format", "github"]).run().succeeds();
    let file = world.path("github.env");
    let mut shell = Command::new("sh");
    shell.args(["-c", "eval \"$1\"", "sh", &step]).env("GITHUB_ENV", &file).env("SIDEKEY_TOKEN", "skc_1");
    assert!(shell.status().unwrap().success());
    let written = fs::read_to_string(file).unwrap();
    assert_eq!(written.lines().next().unwrap(), format!("HTTP_PROXY=http://etl:skc_1@{proxy}"));
}
