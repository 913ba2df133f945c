//! A service's tenant variables: taken from `--var NAME=VALUE`, else the default, else asked for. What comes out has a value
//! for each variable and fits the service's choices; the hosts that it makes are the only ones the key is ever sent to.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::domain::{Name, Service, Variable};
use crate::operations::{fits_variable, known_variables};

use super::failure::wrong_use;
use super::session::Session;

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(Name, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let name = Name::new(name.trim()).map_err(|error| error.to_string())?;
    Ok((name, value.trim().to_owned()))
}

/// A value for each variable of `service`.
///
/// # Errors
/// When one is given that the service has not, twice, or outside its choices, or one is missing and nobody can be asked.
pub(super) fn complete(
    service: &Service,
    given: &[(Name, String)],
    session: &mut Session,
) -> anyhow::Result<BTreeMap<Name, String>> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        let Some(variable) = service.variables.iter().find(|variable| variable.name == *name) else {
            return Err(wrong_use(format!("--var {name}: {}", known_variables(service))));
        };
        fits_variable(variable, value)?;
        if values.insert(name.clone(), value.clone()).is_some() {
            return Err(wrong_use(format!("--var {name} was given twice")));
        }
    }
    for variable in &service.variables {
        if !values.contains_key(&variable.name) {
            values.insert(variable.name.clone(), missing(variable, session)?);
        }
    }
    Ok(values)
}

/// The value of a variable that was not given.
fn missing(variable: &Variable, session: &mut Session) -> anyhow::Result<String> {
    if !session.terminal.answers() {
        let example = variable.example.as_deref().or(variable.choices.first().map(String::as_str)).unwrap_or("VALUE");
        return variable
            .default
            .clone()
            .ok_or_else(|| wrong_use(format!("{} is needed: give --var {}={example}", variable.title, variable.name)));
    }
    let hint = match (&variable.default, &variable.example) {
        _ if !variable.choices.is_empty() => format!(" ({})", variable.choices.join(", ")),
        (None, Some(example)) => format!(" (such as {example})"),
        _ => String::new(),
    };
    let default = variable.default.as_ref().map(|value| format!(" [{value}]")).unwrap_or_default();
    let question = format!("{}{hint}{default}: ", variable.title);
    let answer = session.terminal.ask(&question).context("the answer could not be read")?;
    let value = match (answer.trim(), &variable.default) {
        ("", Some(default)) => default.clone(),
        (answer, _) => answer.to_owned(),
    };
    fits_variable(variable, &value)?;
    Ok(value)
}
