//! What was looked at and what was found: a table for people, a document for programs, and whether anything is wrong.

use serde_json::json;

use crate::cli::failure::Reported;
use crate::cli::session::Screen;
use crate::cli::table::{List, counted, show_json};

/// The checks, by their names, which never change, in the order in which they are made.
pub(super) const CHECKS: [&str; 19] = [
    "open_files",
    "configuration",
    "declared_key",
    "listener",
    "restore",
    "store_files",
    "master_key_file",
    "store",
    "master_key",
    "disk",
    "audit",
    "authority",
    "system_trust",
    "proxy_variables",
    "no_proxy",
    "key",
    "service",
    "clock",
    "runtime",
];

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Fine,
    /// It works; somebody should look at it.
    Warning,
    /// It is wrong.
    Problem,
    /// Nobody knows: what it needs is not there.
    Unchecked,
}

impl Verdict {
    /// Its word in JSON, which never changes.
    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unchecked => "not_checked",
        }
    }
}

/// Which checks are wanted: `NAME`, or `NAME:SUBJECT` for one of its subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    check: &'static str,
    subject: Option<String>,
}

impl Wanted {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, subject) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest.to_owned())));
        let known = CHECKS.iter().find(|check| **check == name);
        let check = known.ok_or_else(|| format!("there is no check `{name}`; there are {}", CHECKS.join(", ")))?;
        Ok(Self { check, subject })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Which check; one of [`CHECKS`].
    pub(super) check: &'static str,
    /// Of what, where a check is made of several things.
    pub(super) subject: Option<String>,
    /// What came of it.
    pub(super) verdict: Verdict,
    /// What is so.
    pub(super) found: String,
    /// The command that mends it, or that tells more.
    pub(super) mend: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, subject: None, verdict, found: found.into(), mend: None }
    }

    /// It is as it should be.
    pub(super) fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fine, found)
    }

    /// Somebody should look at it.
    pub(super) fn warning(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, found)
    }

    /// It is wrong.
    pub(super) fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Problem, found)
    }

    /// It was not checked, for this reason.
    pub(super) fn unchecked(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Verdict::Unchecked, why)
    }

    /// Of what.
    pub(super) fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// The command that mends it.
    pub(super) fn mended_by(self, command: impl Into<String>) -> Self {
        Self { mend: Some(command.into()), ..self }
    }
}

/// Everything that was found so far.
#[derive(Debug)]
pub(super) struct Findings {
    wanted: Vec<Wanted>,
    list: Vec<Finding>,
}

impl Findings {
    /// None yet; nothing `wanted` means everything.
    pub(super) fn new(wanted: Vec<Wanted>) -> Self {
        Self { wanted, list: Vec::new() }
    }

    /// Whether any subject of `check` is wanted.
    pub(super) fn wants(&self, check: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted.check == check)
    }

    /// Whether this subject of `check` is wanted.
    pub(super) fn wants_of(&self, check: &str, subject: &str) -> bool {
        let fits = |wanted: &Wanted| wanted.check == check && wanted.subject.as_ref().is_none_or(|one| one == subject);
        self.wanted.is_empty() || self.wanted.iter().any(fits)
    }

    /// Whether this subject of `check` was asked for by its name.
    pub(super) fn names(&self, check: &str, subject: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted.check == check && wanted.subject.as_deref() == Some(subject))
    }

    /// Whether `check` is wanted, whatever its subject.
    pub(super) fn wants_all_of(&self, check: &str) -> bool {
        let whole = |wanted: &Wanted| wanted.check == check && wanted.subject.is_none();
        self.wanted.is_empty() || self.wanted.iter().any(whole)
    }

    /// Adds one, if it is wanted.
    pub(super) fn add(&mut self, finding: Finding) {
        let is_wanted = match &finding.subject {
            Some(subject) => self.wants_of(finding.check, subject),
            None => self.wants(finding.check),
        };
        if is_wanted {
            self.list.push(finding);
        }
    }

    /// Says of these checks that they were not made.
    pub(super) fn leave(&mut self, checks: &[&'static str], why: &str) {
        for check in checks {
            self.add(Finding::unchecked(check, why));
        }
    }

    /// The same of all that nothing was found of yet.
    pub(super) fn leave_the_rest(&mut self, why: &str) {
        let made: Vec<_> = self.list.iter().map(|finding| finding.check).collect();
        let rest: Vec<_> = CHECKS.into_iter().filter(|check| !made.contains(check)).collect();
        self.leave(&rest, why);
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.list.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Shows them, and fails when something is wrong.
    pub(super) fn finish(mut self, as_json: bool, screen: &mut Screen) -> anyhow::Result<()> {
        let place = |finding: &Finding| CHECKS.iter().position(|check| *check == finding.check);
        self.list.sort_by_key(place);
        let wrong = self.count(Verdict::Problem);
        if as_json {
            let item = |one: &Finding| {
                let Finding { check, subject, verdict, found, mend } = one;
                json!({ "check": check, "subject": subject, "verdict": verdict.word(), "found": found, "mend": mend })
            };
            let items: Vec<_> = self.list.iter().map(item).collect();
            show_json(&json!({ "version": 1, "ok": wrong == 0, "items": items }), screen)?;
        } else {
            self.show(screen)?;
        }
        if wrong == 0 { Ok(()) } else { Err(Reported.into()) }
    }

    fn show(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut table = List::new(&["CHECK", "", "FOUND"], "Nothing was checked.");
        for Finding { check, subject, verdict, found, mend } in &self.list {
            let name = check.replace('_', " ");
            let name = subject.as_ref().map_or(name.clone(), |subject| format!("{name} {subject}"));
            let mend = mend.as_ref().map(|mend| format!("\n→ {mend}")).unwrap_or_default();
            let mark = match verdict {
                Verdict::Fine => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
                Verdict::Unchecked => "not checked",
            };
            table.add(vec![name, mark.to_owned(), format!("{found}{mend}")], json!(null));
        }
        table.show(false, screen)?;
        screen.say("")?;
        let counts = [(Verdict::Problem, "problem"), (Verdict::Warning, "warning")];
        let counts = counts.map(|(verdict, noun)| counted(self.count(verdict), noun)).join(", ");
        let unchecked = match self.count(Verdict::Unchecked) {
            0 => String::new(),
            number => format!(", {number} not checked"),
        };
        Ok(screen.say(format!("{counts}{unchecked}."))?)
    }
}
