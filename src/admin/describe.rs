//! The OpenAPI document: made of what stands at the handlers, and completed with what holds for all of them, so that no
//! handler has to say it. The committed `openapi.json` is this document; a test holds the two together.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;

use crate::record::ServiceRecord;

use super::problem::ProblemView;
use super::{BASE, api};

const ABOUT: &str = "What the command line does, for programs and for the console: users, teams, callers, keys, services, \
tokens, the audit log, backups, the certificate authority. Values of keys go in and never come out.\n\nLists come in pages: `limit`, and `after` with what \
`next` of the page before says. What goes wrong is a problem document (RFC 9457) whose `code` never changes. Bodies are \
JSON of at most 1 MiB; members that are not known are refused.\n\nPrograms send a token of `sidekey token add` as \
`Authorization: Bearer`. Browsers have the cookie of a session, and what they change must come from a page of the same \
origin.";

/// What an operation answers besides what it is for.
const PROBLEMS: [(u16, &str); 9] = [
    (400, "The body is not what it is to be, or broke off"),
    (404, "There is no such thing, or it is none of the asking user's business"),
    (406, "The answer would be JSON, which is not accepted"),
    (409, "It cannot be done to the thing as it stands: its name is taken, it is in use, or somebody else was faster"),
    (413, "The body is larger than 1 MiB, or a backup than 16 GiB"),
    (415, "The body is not sent as application/json, or a backup not as application/x-tar"),
    (422, "What was given cannot be"),
    (500, "sidekey failed; its log says why"),
    (503, "The store or the audit log cannot be used now, or too much is under way; try again"),
];
const UNKNOWN: (u16, &str) = (401, "Nobody is known by what was shown");
const REFUSED: (u16, &str) = (403, "This user may not do this, or a web page of another origin asks");

/// The document, as it is served and committed.
pub fn document() -> String {
    let open = OpenApiRouter::new().merge(api::open()).into_openapi();
    let guarded = OpenApiRouter::new().merge(api::guarded()).into_openapi();
    let mut document = written(&open);
    let open_paths = paths_of(&mut document);
    let mut guarded = written(&guarded);
    let guarded_paths = paths_of(&mut guarded);
    let mut paths = Map::new();
    for (items, is_open) in [(open_paths, true), (guarded_paths, false)] {
        for (path, mut item) in items {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                complete(operation, &path, is_open);
            }
            let merged = paths.entry(path).or_insert_with(|| json!({}));
            append(merged, item);
        }
    }
    let mut schemas = Map::new();
    for part in [&mut document, &mut guarded] {
        let found = part.pointer_mut("/components/schemas").map(Value::take);
        schemas.extend(found.and_then(|found| found.as_object().cloned()).unwrap_or_default());
    }
    schemas.insert("Problem".to_owned(), problem_schema());
    schemas.extend(record_schemas());
    let mut schemas = Value::Object(schemas);
    let mut paths = Value::Object(paths);
    [&mut schemas, &mut paths].into_iter().for_each(bound_integers);
    let whole = json!({
        "openapi": "3.1.0",
        "info": { "title": "sidekey admin API", "version": "1", "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" } },
        "servers": [{ "url": BASE, "description": "On the console's address" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problem_answers(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of `sidekey token add`" },
                "session": { "type": "apiKey", "in": "cookie", "name": super::who::SESSION,
                    "description": "A session, opened with a code of `sidekey login`" },
            },
        },
    });
    let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    format!("{text}\n")
}

fn written(document: &utoipa::openapi::OpenApi) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

fn paths_of(document: &mut Value) -> Map<String, Value> {
    document.get_mut("paths").map(Value::take).and_then(|paths| paths.as_object().cloned()).unwrap_or_default()
}

fn append(to: &mut Value, from: Value) {
    if let (Value::Object(to), Value::Object(from)) = (to, from) {
        to.extend(from);
    }
}

/// Adds who may ask and what can go wrong.
fn complete(operation: &mut Value, path: &str, is_open: bool) {
    let has_body = operation.get("requestBody").is_some();
    let names = |parameter: &Value| parameter["name"].as_str().is_some_and(|name| name != "limit" && name != "after");
    let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let finds = has_body || parameters.iter().any(names);
    let logs_in = path == "/session" && has_body;
    let Some(operation) = operation.as_object_mut() else { return };
    let reads = operation.get("operationId").and_then(Value::as_str).is_some_and(is_reading);
    let security = if is_open { json!([]) } else { json!([{ "token": [] }, { "session": [] }]) };
    operation.insert("security".to_owned(), security);
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let fits = |status: u16| match status {
        400 | 413 | 415 => has_body,
        404 => finds && !logs_in,
        422 => has_body || !parameters.is_empty(),
        409 => !reads && !logs_in,
        _ => true,
    };
    let own = [(!is_open || logs_in).then_some(UNKNOWN), Some(REFUSED)];
    for (status, _) in own.into_iter().flatten().chain(PROBLEMS).filter(|(status, _)| fits(*status)) {
        answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
    }
}

fn is_reading(id: &str) -> bool {
    ["list_", "show_", "explain_", "draft_"].iter().any(|verb| id.starts_with(verb))
}

/// What takes no negative number takes more than the signed kind that it is said to be of.
fn bound_integers(value: &mut Value) {
    if let Value::Object(object) = value
        && object.get("minimum").is_some_and(|minimum| minimum.as_u64().is_some())
        && let Some(format) = object.get("format").and_then(Value::as_str).map(str::to_owned)
    {
        if format == "int32" {
            object.entry("maximum").or_insert(json!(u32::MAX));
        }
        if format.starts_with("int") {
            object.remove("format");
        }
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(bound_integers),
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// The problems that operations share.
fn problem_answers() -> Map<String, Value> {
    let answer = |(status, description): (u16, &str)| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let content = json!({ "application/problem+json": { "schema": schema } });
        (status.to_string(), json!({ "description": description, "content": content }))
    };
    [UNKNOWN, REFUSED].into_iter().chain(PROBLEMS).map(answer).collect()
}

fn problem_schema() -> Value {
    serde_json::to_value(<ProblemView as utoipa::PartialSchema>::schema()).unwrap_or_default()
}

/// The schema of a service's record and of what it is made of.
fn record_schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut root = settings.into_generator().into_root_schema_for::<ServiceRecord>().to_value();
    let below = root.as_object_mut().and_then(|root| root.remove("components"));
    let below = below.and_then(|mut below| below.get_mut("schemas").map(Value::take));
    let mut schemas = below.and_then(|below| below.as_object().cloned()).unwrap_or_default();
    schemas.insert("ServiceRecord".to_owned(), root);
    schemas
}
