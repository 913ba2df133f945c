//! The services and the credentials that the file declares. A table laid over a catalogue record is compiled as one
//! record, and a fault in it is named by the file's own key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::domain::{Host, Name, Service, Template, Variable};
use crate::record::{self, Faults, KeyPath, RecordText, ServiceRecord, nearest};

use super::compile::{Context, exactly_one, file_path, program, variable};
use super::settings::{DeclaredCredential, ServiceEntry, ValueSource};
use super::wire::{CredentialRecord, FieldRecord, FileRecord};

/// The built-in services by name.
pub(super) type Catalogue = BTreeMap<Name, ServiceRecord>;

const NAME: &str = "use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit";

/// Compiles every service of the catalogue and of the file, by name; and gives the names of all there are, those that
/// failed included, so that a credential for one of them is no second fault.
pub(super) fn services(
    file: &FileRecord,
    context: &Context<'_>,
    faults: &mut Faults,
) -> (Vec<Arc<ServiceEntry>>, BTreeSet<Name>) {
    let mut names: BTreeSet<Name> = context.catalogue.keys().cloned().collect();
    let mut out = Vec::new();
    for (name, record) in context.catalogue {
        if !file.service.contains_key(name.as_str()) {
            // A record without a base URL waits for a table that gives one; that others compile is the catalogue's test.
            if let Ok(service) = record::compile(name, record) {
                let service = Service { built_in: true, ..service }.into();
                out.push(Arc::new(ServiceEntry { service, record: RecordText::of(record) }));
            }
        }
    }
    for (key, table) in &file.service {
        let at = KeyPath::root().key("service").key(key);
        let Ok(name) = Name::new(key) else {
            faults.quote(at, "not a name for a service", key, NAME);
            continue;
        };
        names.insert(name.clone());
        out.extend(declared(&name, table, &at, context, faults).map(Arc::new));
    }
    names.extend(cut_names(context));
    out.sort_by(|a, b| a.service.name.cmp(&b.service.name));
    (out, names)
}

/// The names of services whose table as a whole had to be left out.
fn cut_names(context: &Context<'_>) -> impl Iterator<Item = Name> {
    let service = KeyPath::root().key("service");
    let inside = context.cut.iter().filter(move |path| path.steps().len() == 2 && path.is_within(&service));
    inside.filter_map(|path| Name::new(path.last_key()?).ok())
}

/// Compiles the table of one service.
fn declared(
    name: &Name,
    table: &ServiceRecord,
    at: &KeyPath,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<ServiceEntry> {
    let below = context.catalogue.get(name);
    let upper = with_absolute_ca(table.clone(), context.folder);
    let record = match below {
        Some(below) => below.clone().overlaid(upper),
        None => upper,
    };
    if below.is_none() && record.base_url.is_none() && !context.cut.contains(&at.key("base_url")) {
        let near = nearest(name.as_str(), context.catalogue.keys().map(Name::as_str));
        let fix = near.map_or_else(
            || "add `base_url = \"https://…\"` to make it a custom API".to_owned(),
            |near| format!("did you mean `[service.{near}]`? For a custom API add `base_url = \"https://…\"`"),
        );
        faults.add(at.clone(), "not in the built-in catalogue, and without a `base_url`", fix);
        return None;
    }
    match record::compile(name, &record) {
        Ok(service) => {
            let service = Service { built_in: below.is_some(), declared: true, ..service };
            Some(ServiceEntry { service: service.into(), record: RecordText::of(&record) })
        }
        Err(errors) => {
            for error in errors.into_vec() {
                faults.push(record::RecordError { path: at.join(&error.path), ..error });
            }
            None
        }
    }
}

/// Makes a relative `upstream.ca` start at the file's folder.
fn with_absolute_ca(mut record: ServiceRecord, folder: &Path) -> ServiceRecord {
    if let Some(ca) = record.upstream.as_mut().and_then(|upstream| upstream.ca.as_mut()).filter(|ca| !ca.is_empty()) {
        *ca = folder.join(&*ca).to_string_lossy().into_owned();
    }
    record
}

/// Compiles every declared credential, by name.
pub(super) fn credentials(
    file: &FileRecord,
    services: &[Arc<ServiceEntry>],
    names: &BTreeSet<Name>,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Vec<DeclaredCredential> {
    let mut out = Vec::new();
    for (key, table) in &file.credential {
        let at = KeyPath::root().key("credential").key(key);
        let name = Name::new(key).map_err(|_| faults.quote(at.clone(), "not a name for a credential", key, NAME)).ok();
        let mut label = |key: &str, what: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            Name::new(text).map_err(|_| faults.quote(at.key(key), what, text, NAME)).ok()
        };
        let environment = label("environment", "not a label for an environment", &table.environment);
        let limit_owner = label("limit_owner", "not a name for a limit owner", &table.limit_owner);
        let pool = label("pool", "not a name for a pool", &table.pool);
        let Some(service) = service_of(table, names, &at, context, faults) else { continue };
        // They stand in the order of their names: a search through them all for every credential takes minutes at 100,000.
        let found = services.binary_search_by(|entry| entry.service.name.cmp(&service));
        let Some(entry) = found.ok().and_then(|at| services.get(at)) else { continue };
        let fields = fields(table, &entry.service, &at, context, faults);
        let variables = variables(table, &entry.service, &at, faults);
        if let (Some(name), Some(fields)) = (name, fields) {
            out.push(DeclaredCredential { name, service, environment, limit_owner, pool, fields, variables });
        }
    }
    out
}

/// The service that a credential is for.
fn service_of(
    table: &CredentialRecord,
    names: &BTreeSet<Name>,
    at: &KeyPath,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<Name> {
    let at = at.key("service");
    let Some(text) = table.service.as_deref() else {
        if !context.cut.contains(&at) {
            faults.add(at, "the service that the key is for is missing", "add `service = \"NAME\"`");
        }
        return None;
    };
    if let Some(name) = names.get(text) {
        return Some(name.clone());
    }
    let near = nearest(text, names.iter().map(Name::as_str));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let fix = format!("{near}`sidekey service list` shows all; a custom API needs a table `[service.NAME]`");
    faults.quote(at, "no such service", text, fix);
    None
}

/// Where each of the service's fields comes from.
fn fields(
    table: &CredentialRecord,
    service: &Service,
    at: &KeyPath,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<Vec<(Name, ValueSource)>> {
    let needed = service.fields();
    let words = needed.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    let Some(given) = &table.fields else {
        let record = FieldRecord { env: table.env.clone(), file: table.file.clone(), command: table.command.clone() };
        return match needed.as_slice() {
            [] => {
                let fix = "give the service an `auth`, or remove this credential";
                faults.add(at.key("service"), "a service that takes no key", fix);
                None
            }
            [field] => Some(vec![((*field).clone(), source(&record, at, context, faults)?)]),
            _ => {
                let fix = format!("give each its own table, such as `[{at}.fields.{}]`", needed.first()?);
                faults.add(at.clone(), format!("one value for a service that needs several: {words}"), fix);
                None
            }
        };
    };
    for (key, there) in
        [("env", table.env.is_some()), ("file", table.file.is_some()), ("command", table.command.is_some())]
    {
        if there {
            faults.add(at.key(key), "a single value beside `fields`", "move it into the table of its field");
        }
    }
    let inside = at.key("fields");
    for key in given.keys().filter(|key| !needed.iter().any(|field| field.as_str() == key.as_str())) {
        let near = nearest(key, needed.iter().map(|field| field.as_str()));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let fix = format!("{near}The service needs {}", if words.is_empty() { "no key" } else { words.as_str() });
        faults.add(inside.key(key), "no field of this service", fix);
    }
    let mut out = Vec::new();
    for field in needed {
        let at = inside.key(field.as_str());
        if let Some(record) = given.get(field.as_str()) {
            out.extend(source(record, &at, context, faults).map(|source| (field.clone(), source)));
        } else {
            let fix = format!("add a table `[{at}]` with `env`, `file` or `command`");
            faults.add(at, "a field that the service needs is missing", fix);
        }
    }
    Some(out)
}

/// Where one value comes from.
fn source(record: &FieldRecord, at: &KeyPath, context: &Context<'_>, faults: &mut Faults) -> Option<ValueSource> {
    let FieldRecord { env, file, command } = record;
    let given = [("env", env.is_some()), ("file", file.is_some()), ("command", command.is_some())];
    if !exactly_one(&given, at, faults) {
        return None;
    }
    if let Some(path) = file_path(file.as_deref(), at, context, faults) {
        return Some(ValueSource::File(path));
    }
    if let Some(name) = variable(env.as_deref(), &at.key("env"), faults) {
        return Some(ValueSource::Env(name));
    }
    program(command.as_deref(), at, faults).map(ValueSource::Command)
}

/// The value of each of the service's tenant variables.
fn variables(table: &CredentialRecord, service: &Service, at: &KeyPath, faults: &mut Faults) -> BTreeMap<Name, String> {
    let inside = at.key("vars");
    let none = BTreeMap::new();
    let given = table.vars.as_ref().unwrap_or(&none);
    for key in given.keys().filter(|key| !service.variables.iter().any(|v| v.name.as_str() == key.as_str())) {
        let near = nearest(key, service.variables.iter().map(|v| v.name.as_str()));
        let near = near.map(|near| format!("did you mean `{near}`?"));
        let fix = near.unwrap_or_else(|| format!("remove it; `sidekey service show {}` names them", service.name));
        faults.add(inside.key(key), "no variable of this service", fix);
    }
    let mut out = BTreeMap::new();
    let mut whole = true;
    for variable in &service.variables {
        let at = inside.key(variable.name.as_str());
        let value = given.get(variable.name.as_str()).or(variable.default.as_ref());
        match value {
            None => {
                let (title, example) = described(service, variable);
                let fix = format!("add `vars = {{ {} = \"{example}\" }}`", variable.name);
                faults.add(at, format!("a value that the service needs is missing{title}"), fix);
                whole = false;
            }
            Some(value) if !variable.choices.is_empty() && !variable.choices.contains(value) => {
                let all =
                    if service.declared { "the service's `choices`".to_owned() } else { variable.choices.join(", ") };
                faults.quote(at, "none of the values there are", value, format!("use one of {all}"));
                whole = false;
            }
            Some(value) => {
                out.insert(variable.name.clone(), value.clone());
            }
        }
    }
    if whole {
        host_stays_a_host(service, &out, &inside, faults);
    }
    out
}

/// A variable's title and example for a message: only the catalogue's own, since a table's texts may come from the
/// environment.
fn described<'a>(service: &Service, variable: &'a Variable) -> (String, &'a str) {
    if service.declared {
        return (String::new(), "…");
    }
    (format!(": {}", variable.title), variable.example.as_deref().unwrap_or("…"))
}

/// Notes when the values make no host of the base URL's, or would lead out of its path: a key is only ever sent to a
/// place of the service's own form.
fn host_stays_a_host(service: &Service, values: &BTreeMap<Name, String>, at: &KeyPath, faults: &mut Faults) {
    let filled = |template: &Template| template.fill(|name| values.get(name).map(String::as_str));
    let host = filled(&service.base.host);
    if host.is_none_or(|host| Host::new(&host).is_err()) {
        let fix = "give values that make a host name of the service's `base_url`: letters, digits, `-` and `.`";
        faults.add(at.clone(), "values that make no host name", fix);
    }
    let strays = |value: &String| {
        value.is_empty() || value.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'?' | b'#' | b'\\' | b'@'))
    };
    let path = filled(&service.base.path).unwrap_or_default();
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if dots || service.base.path.holes().any(|hole| values.get(hole).is_some_and(strays)) {
        let fix = "give values that can stand in the path of the service's `base_url`";
        faults.add(at.clone(), "values that make no path", fix);
    }
}
