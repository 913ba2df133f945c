//! The runtimes that are found on this machine, each with the smallest real program that reads one of the proxy's own pages over
//! https, under the very variables of `sidekey run`. The page is at a name that no resolver knows
//! ([`OWN_HOST`](crate::domain::OWN_HOST)): who reads it there has called through the proxy, shown who it is, and trusts the
//! authority; nothing leaves this machine.

mod outcome;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::finding::{Finding, Findings};
use crate::cli::local;
use crate::cli::opened::Opened;
use crate::cli::relay::Relay;
use crate::cli::session::Session;
use crate::cli::surroundings::{self, Variable, Way};
use crate::config::CallersMode;
use crate::domain::{Name, OWN_HOST};
use crate::store::LOCAL;
use crate::vault::Token;
use outcome::judge;
use start::{Ended, end_of};

const CHECK: &str = "runtime";
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take that is compiled first, with its library.
const COMPILED: Duration = Duration::from_secs(150);

/// A runtime, and how a program of it is started.
#[derive(Debug)]
pub(super) struct Runtime {
    /// What it is called among the findings.
    subject: &'static str,
    /// The names of its program; the first that is found counts.
    programs: &'static [&'static str],
    /// What makes it tell its version.
    version: &'static [&'static str],
    /// The arguments before the URL.
    before: &'static [&'static str],
    /// Its program's text, and the name of the file for who takes none as an argument.
    source: Option<(&'static str, Option<&'static str>)>,
    /// How long it may take.
    patience: Duration,
}

const fn script(
    subject: &'static str,
    programs: &'static [&'static str],
    flag: &'static [&'static str],
    text: &'static str,
) -> Runtime {
    Runtime { subject, programs, version: &["--version"], before: flag, source: Some((text, None)), patience: PATIENCE }
}

const PYTHON: &[&str] = &["python3", "python"];

/// The runtimes that are known.
const RUNTIMES: [Runtime; 10] = [
    Runtime {
        subject: "curl",
        programs: &["curl"],
        version: &["--version"],
        before: &["-sS", "--max-time", "20"],
        source: None,
        patience: PATIENCE,
    },
    script("python", PYTHON, &["-c"], include_str!("programs/urllib.py")),
    script("python-requests", PYTHON, &["-c"], include_str!("programs/requests.py")),
    script("python-httpx", PYTHON, &["-c"], include_str!("programs/httpx.py")),
    script("node", &["node"], &["-e"], include_str!("programs/whoami.js")),
    Runtime {
        subject: "java",
        programs: &["java"],
        version: &["-version"],
        before: &[],
        source: Some((include_str!("programs/Whoami.java"), Some("Whoami.java"))),
        patience: PATIENCE,
    },
    Runtime {
        subject: "go",
        programs: &["go"],
        version: &["version"],
        before: &["run"],
        source: Some((include_str!("programs/whoami.go"), Some("whoami.go"))),
        patience: COMPILED,
    },
    Runtime {
        subject: "git",
        programs: &["git"],
        version: &["--version"],
        before: &["ls-remote"],
        source: None,
        patience: PATIENCE,
    },
    script("ruby", &["ruby"], &["-e"], include_str!("programs/whoami.rb")),
    Runtime { version: &["-e", "print $^V"], ..script("perl", &["perl"], &["-e"], include_str!("programs/whoami.pl")) },
];

/// Has each runtime call, with a token for that time where a caller is named.
pub(super) fn examine(
    opened: &Opened,
    caller: Option<&Name>,
    proxy: SocketAddr,
    session: &mut Session,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if caller.is_none() && opened.config.callers == CallersMode::Token {
        let why = "callers prove who they are here: say as which one runtimes call";
        findings.add(Finding::unchecked(CHECK, why).mended_by("sidekey doctor --as CALLER"));
        return Ok(());
    }
    let begin = |name| opened.operations.begin_run(&opened.actor, name, "sidekey doctor");
    let token = match caller.map(begin).transpose() {
        Ok(token) => token,
        Err(error) => {
            let found = format!("{:#}", anyhow::Error::new(error));
            findings.add(Finding::problem(CHECK, found).mended_by("sidekey caller list"));
            return Ok(());
        }
    };
    if let Err(error) = call(opened, caller.zip(token.as_ref()), proxy, session, findings) {
        findings.add(Finding::unchecked(CHECK, format!("{error:#}")));
    }
    Ok(token.map_or(Ok(()), |token| opened.operations.end_run(&token))?)
}

fn call(
    opened: &Opened,
    caller: Option<(&Name, &Token)>,
    proxy: SocketAddr,
    session: &mut Session,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if let Err(error) = local::wait_until_known(proxy, caller.map(|(_, token)| token)) {
        findings.add(Finding::problem(CHECK, format!("{error:#}")));
        return Ok(());
    }
    let user = caller.map(|(name, token)| format!("{name}:{}@", token.reveal())).unwrap_or_default();
    let relay = caller.map(|(_, token)| Relay::open(proxy, token)).transpose()?.flatten();
    let way = Way { user, mute: relay.as_ref().map(Relay::address) };
    let variables = surroundings::variables(opened, &way, session)?;
    // It works beside this thread, which waits for the runtimes.
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let within = beside.enter();
    relay.map(Relay::attend).transpose()?;
    drop(within);
    let folder = opened.config.data.join(format!("doctor-{}", std::process::id()));
    let surroundings = Surroundings {
        variables,
        folder: &folder,
        name: caller.map_or(LOCAL, |(name, _)| name.as_str()),
        token: caller.map(|(_, token)| token),
    };
    let path: Vec<PathBuf> =
        session.environment.filled("PATH").unwrap_or_default().split(':').map(PathBuf::from).collect();
    let present = RUNTIMES.iter().filter(|runtime| findings.wants_of(CHECK, runtime.subject));
    let present: Vec<_> = present.filter_map(|runtime| Some((runtime, runtime.find(&path)?))).collect();
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let told = std::thread::scope(|scope| {
        let surroundings = &surroundings;
        let started: Vec<_> =
            present.iter().map(|(runtime, program)| scope.spawn(move || runtime.tell(program, surroundings))).collect();
        started.into_iter().filter_map(|one| one.join().ok()?).collect::<Vec<Finding>>()
    });
    for finding in told {
        findings.add(finding);
    }
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))
}

/// What a program is started in.
struct Surroundings<'a> {
    variables: Vec<Variable>,
    /// For the text of programs.
    folder: &'a Path,
    /// As whom the proxy should know it.
    name: &'a str,
    /// What no output may show.
    token: Option<&'a Token>,
}

impl Runtime {
    fn find(&self, path: &[PathBuf]) -> Option<PathBuf> {
        let found = self.programs.iter().flat_map(|name| path.iter().map(move |folder| folder.join(name)));
        found.into_iter().find(|program| program.is_file())
    }

    /// What came of its call; none when what it needs is not installed.
    fn tell(&self, program: &Path, surroundings: &Surroundings<'_>) -> Option<Finding> {
        let version = end_of(program, &self.version.iter().map(PathBuf::from).collect::<Vec<_>>(), &[], PATIENCE);
        let version = version.ok().and_then(|ended| Some(format!("{} {}", self.subject, ended.version()?)));
        let version = version.unwrap_or_else(|| self.subject.to_owned());
        let ended = self.call(program, surroundings);
        let finding = match ended {
            Ok(ended) => judge(self.subject, &version, surroundings.name, &ended)?,
            Err(error) => Finding::unchecked(CHECK, format!("{version}: {error:#}")),
        };
        Some(finding.of(self.subject))
    }

    fn call(&self, program: &Path, surroundings: &Surroundings<'_>) -> anyhow::Result<Ended> {
        let mut arguments: Vec<PathBuf> = self.before.iter().map(PathBuf::from).collect();
        match self.source {
            None => {}
            Some((text, None)) => arguments.push(PathBuf::from(text)),
            Some((text, Some(file))) => {
                let file = surroundings.folder.join(file);
                std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
                arguments.push(file);
            }
        }
        arguments.push(PathBuf::from(format!("https://{OWN_HOST}/-/whoami")));
        let mut ended = end_of(program, &arguments, &surroundings.variables, self.patience)?;
        // A program that fails may repeat the proxy's address, and with it the token.
        if let Some(token) = surroundings.token {
            ended.out = ended.out.replace(token.reveal(), "…");
            ended.error = ended.error.replace(token.reveal(), "…");
        }
        Ok(ended)
    }
}
