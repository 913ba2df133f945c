//! Reading a key's value: from the hidden prompt, the standard input, an environment variable or a file; never from an
//! argument. No message repeats a byte of what was read, nor a name that may be a value in the wrong place.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use crate::domain::{Fields, Name, Secret, Service};
use crate::seal::{MAX_LEN, clean};

use super::failure::wrong_use;
use super::session::{Session, read_limited};

/// Where a value comes from, when not from the prompt.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Read the value from the standard input
    ///
    /// One value, or a line FIELD=VALUE for each field when the service has several. One newline at the end is taken off.
    #[arg(long, conflicts_with_all = ["from_env", "from_file"], help_heading = "Where the value comes from")]
    stdin: bool,
    /// Read the value from this environment variable
    #[arg(long, value_name = "VAR", conflicts_with = "from_file", help_heading = "Where the value comes from")]
    from_env: Option<String>,
    /// Read the value from this file
    #[arg(long, value_name = "FILE", help_heading = "Where the value comes from")]
    from_file: Option<PathBuf>,
}

impl Source {
    /// Reads every field of `service`'s key and tells the person how long each is.
    ///
    /// # Errors
    /// When the service needs no key, nobody can be asked, or what was read is no value.
    pub(super) fn read(&self, service: &Service, session: &mut Session) -> anyhow::Result<Fields> {
        let names: Vec<Name> = service.fields().into_iter().cloned().collect();
        if names.is_empty() {
            return Err(wrong_use(format!("the service `{}` takes no key: call it as it is", service.name)));
        }
        let raw = match self.whole(names.len(), session)? {
            Some(text) => split(&names, &text)?,
            None => prompt(&names, service, session)?,
        };
        let mut fields = Vec::with_capacity(names.len());
        for (name, bytes) in names.into_iter().zip(raw) {
            let (secret, newline) = clean(bytes).with_context(|| format!("the field `{name}` was not taken"))?;
            note_length(&name, &secret, newline, session)?;
            fields.push((name, secret));
        }
        Ok(Fields::new(fields))
    }

    /// All of what a flag names; none when the person is to be asked.
    fn whole(&self, fields: usize, session: &mut Session) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        let most = fields.saturating_mul(MAX_LEN + 80);
        let text = if self.stdin {
            session.terminal.input(most).context("the standard input cannot be read")?
        } else if let Some(name) = &self.from_env {
            let value = session.environment.get(name).map(|value| Zeroizing::new(value.as_bytes().to_vec()));
            value.ok_or_else(|| wrong_use("the variable that --from-env names is not set; give a variable's name"))?
        } else if let Some(path) = &self.from_file {
            let path = session.environment.folder().join(path);
            let file = File::open(path).context("the file that --from-file names cannot be opened")?;
            read_limited(file, most).context("the file that --from-file names cannot be read")?
        } else {
            return Ok(None);
        };
        Ok(Some(text))
    }
}

/// One value, or a line for each field in any order. The fields come back in the order of `names`.
fn split(names: &[Name], text: &[u8]) -> anyhow::Result<Vec<Zeroizing<Vec<u8>>>> {
    if names.len() == 1 {
        return Ok(vec![Zeroizing::new(text.to_vec())]);
    }
    let expected = || names.iter().map(|name| format!("{name}=VALUE")).collect::<Vec<_>>().join(", ");
    let mut found: Vec<Option<Zeroizing<Vec<u8>>>> = names.iter().map(|_| None).collect();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let slot = line.iter().position(|byte| *byte == b'=').and_then(|at| {
            let (field, value) = line.split_at(at);
            let index = names.iter().position(|name| name.as_str().as_bytes() == field.trim_ascii())?;
            Some((found.get_mut(index)?, value.get(1..)?))
        });
        let Some((slot, value)) = slot else {
            return Err(wrong_use(format!("line {number} names no field of this service; write {}", expected())));
        };
        if slot.replace(Zeroizing::new(value.to_vec())).is_some() {
            return Err(wrong_use(format!("line {number} names a field for the second time")));
        }
    }
    let missing: Vec<&str> =
        names.iter().zip(&found).filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        return Err(wrong_use(format!("no value for {}; write {}", missing.join(" and "), expected())));
    }
    Ok(found.into_iter().flatten().collect())
}

/// Asks for each field.
fn prompt(names: &[Name], service: &Service, session: &mut Session) -> anyhow::Result<Vec<Zeroizing<Vec<u8>>>> {
    if !session.terminal.answers() {
        return Err(wrong_use(
            "the value has to be asked for, and there is no terminal to ask at; give it with --stdin, --from-env VAR or \
             --from-file FILE",
        ));
    }
    if let Some(help) = &service.key_help {
        session.screen.note(help)?;
    }
    if let Some(url) = &service.key_url {
        session.screen.note(format!("Keys are made at {url}"))?;
    }
    let ask = |name: &Name| {
        let what = if name.as_str() == Fields::SINGLE { "Key" } else { name.as_str() };
        let answer = session.terminal.ask_hidden(&format!("{what} for {} (hidden): ", service.title))?;
        Ok(Zeroizing::new(answer.as_bytes().to_vec()))
    };
    names.iter().map(ask).collect::<std::io::Result<_>>().context("the answer could not be read")
}

fn note_length(name: &Name, secret: &Secret, newline: bool, session: &mut Session) -> std::io::Result<()> {
    let (length, plural) = (secret.len(), if secret.len() == 1 { "" } else { "s" });
    let taken = if newline { ", the newline at its end taken off" } else { "" };
    session.screen.note(format!("Read `{name}`: {length} byte{plural}{taken}."))
}
