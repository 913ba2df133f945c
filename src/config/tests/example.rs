//! The example `proxy.toml`, the committed schema and the parser say the same.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::{good, load, schema};

const EXAMPLE: &str = include_str!("../../../proxy.toml");

/// What the schema says against a value, by a judge of its own: the keywords that the schema uses, read as the standard
/// defines them, so that the parser's reading of the schema is not its own witness.
fn objections(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let root = super::schema();
    let mut out = Vec::new();
    let object = schema.as_object().unwrap();
    for (keyword, rule) in object {
        let holds = match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                out.extend(objections(value, &root["$defs"][name], at));
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|choice| objections(value, choice, at).is_empty()),
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("the judge does not know the type {other}"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "items" => {
                let items = value.as_array().into_iter().flatten();
                out.extend(items.flat_map(|item| objections(item, rule, &format!("{at}[]"))));
                true
            }
            "properties" | "additionalProperties" => {
                let known = object.get("properties").unwrap_or(&Value::Null);
                for (key, inner) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{key}");
                    match (keyword.as_str(), known.get(key)) {
                        ("properties", Some(rule)) => out.extend(objections(inner, rule, &at)),
                        ("additionalProperties", None) if rule == false => out.push(format!("{at}: unknown")),
                        ("additionalProperties", None) => out.extend(objections(inner, rule, &at)),
                        _ => {}
                    }
                }
                true
            }
            "$schema" | "$defs" | "title" | "description" => true,
            other => panic!("the judge does not know the keyword {other}"),
        };
        if !holds {
            out.push(format!("{at}: {keyword} {rule}"));
        }
    }
    out
}

fn judged(text: &str) -> Vec<String> {
    objections(&json(text), schema(), "")
}

/// A text as the schema sees it.
fn json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap_or_else(|error| panic!("{text}\n{error}"))).unwrap()
}

/// A line of the example.
enum Line {
    /// Prose or nothing.
    Prose,
    /// In force, or commented out to be used beside the others.
    Key(String),
    /// Commented out to be used in place of the last `Key`.
    Instead(String),
}

fn lines() -> Vec<Line> {
    let kind = |line: &str| match line.strip_prefix('#') {
        None if line.is_empty() => Line::Prose,
        None => Line::Key(line.to_owned()),
        Some(text) if text.is_empty() || text.starts_with([' ', ':']) => Line::Prose,
        Some(text) if text.contains("# instead") => Line::Instead(text.to_owned()),
        Some(text) => Line::Key(text.to_owned()),
    };
    EXAMPLE.lines().map(kind).collect()
}

/// The example with every key in force, and once more for each key that stands there instead of another.
fn variants() -> Vec<String> {
    let lines = lines();
    let whole = |instead: Option<usize>| {
        let mut out: Vec<&str> = Vec::new();
        let mut last = 0;
        for (i, line) in lines.iter().enumerate() {
            match line {
                Line::Key(text) => {
                    last = out.len();
                    out.push(text);
                }
                Line::Instead(text) if instead == Some(i) => out[last] = text,
                Line::Prose | Line::Instead(_) => {}
            }
        }
        out.join("\n")
    };
    let each = lines.iter().enumerate().filter(|(_, line)| matches!(line, Line::Instead(_)));
    std::iter::once(whole(None)).chain(each.map(|(i, _)| whole(Some(i)))).collect()
}

/// The paths of all keys that a schema knows; a name that people choose is `*`.
fn known(schema: &Value, root: &Value, path: &str, out: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        known(&root["$defs"][name.trim_start_matches("#/$defs/")], root, path, out);
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        known(inner, root, path, out);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        out.insert(format!("{path}.{key}"));
        known(inner, root, &format!("{path}.{key}"), out);
    }
    if schema["additionalProperties"].is_object() {
        known(&schema["additionalProperties"], root, &format!("{path}.*"), out);
    }
    if schema["items"].is_object() {
        known(&schema["items"], root, path, out);
    }
}

/// The paths of all keys that a file uses, named as `known` names them.
fn used(value: &Value, path: &str, known: &BTreeSet<String>, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                let exact = format!("{path}.{key}");
                let path = if known.contains(&exact) { exact } else { format!("{path}.*") };
                used(inner, &path, known, out);
                out.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| used(item, path, known, out)),
        _ => {}
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = format!("{}\n", serde_json::to_string_pretty(schema()).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/proxy.schema.json");
    let writing = crate::config::Environment::of_process().get("SIDEKEY_WRITE_SCHEMA").is_some();
    if writing {
        std::fs::write(path, &generated).unwrap();
    }
    let same = std::fs::read_to_string(path).unwrap() == generated;
    assert!(same, "run this test once with SIDEKEY_WRITE_SCHEMA=1 and commit proxy.schema.json");
}

#[test]
fn the_example_loads_and_says_the_defaults() {
    assert!(EXAMPLE.starts_with("#:schema ./proxy.schema.json\n"));
    let (example, defaults) = (good(EXAMPLE), good(""));
    assert_eq!(example.listen, defaults.listen);
    assert_eq!((example.store, example.master_key), (defaults.store, defaults.master_key));
    assert_eq!((example.callers, example.unmatched), (defaults.callers, defaults.unmatched));
    assert_eq!(example.services.len(), defaults.services.len());
    assert_eq!(judged(EXAMPLE), Vec::<String>::new());
}

#[test]
fn the_example_loads_with_each_of_its_keys_in_force() {
    let variants = variants();
    assert!(variants.len() > 15, "{}", variants.len());
    for text in variants {
        // A key with two values needs a credential of two fields: not this one's concern.
        let basic = text.contains("password = \"{auth_token}\"");
        let text = if basic {
            text.replace(
                "file = \"/run/secrets/billing\"",
                "fields = { account_sid.env = \"A\", auth_token.env = \"B\" }",
            )
        } else {
            text
        };
        good(&text);
        assert_eq!(judged(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_example_names_every_key_that_there_is() {
    let mut all = BTreeSet::new();
    known(schema(), schema(), "", &mut all);
    assert!(all.contains(".service.*.vars.*.default") && all.contains(".credential.*.fields.*.env"), "{all:?}");
    let mut named = BTreeSet::new();
    let variants = variants();
    for text in &variants {
        used(&json(text), "", &all, &mut named);
    }
    let field_env = ".credential.*.fields.*.env".to_owned();
    named.insert(field_env);
    let missing: Vec<&String> = all.difference(&named).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_the_schema_refuses_the_parser_refuses_too() {
    let table = [
        "[lisen]",
        "listen = 1",
        "[listen]\nproxy = 8080",
        "[listen]\nproxy = [8080]",
        "[listen]\nthreads = -1",
        "[listen]\nthreads = 4096",
        "[listen]\nthreads = 1.5",
        "[listen]\nbrowser_origins = \"https://a.example\"",
        "[store]\npath = \"x\"",
        "[callers]\nmode = \"closed\"",
        "[callers]\nmode = true",
        "[unmatched]\npolicy = \"allow\"",
        "[master_key]\ncommand = \"pass\"",
        "[service.stripe]\nbase = \"x\"",
        "[service.stripe]\nauth = \"bearer\"",
        "[service.stripe]\nauth = { location = \"body\" }",
        "[service.stripe]\nauth = { location = \"bearer\", token = \"x\" }",
        "[service.stripe]\nauth = [1]",
        "[service.stripe]\nheaders = [\"a\"]",
        "[service.stripe]\nheaders = { a = 1 }",
        "[service.stripe]\nallow = \"GET /\"",
        "[service.stripe]\nrate = { limit = 100 }",
        "[service.stripe]\nrate = { limit = \"100\" }",
        "[service.stripe]\nrate = { limit = \"1/s\", burst = 0 }",
        "[service.stripe]\nretry = { attempts = 9 }",
        "[service.stripe]\nretry = { max_body = 65536 }",
        "[service.stripe]\nretry = { max_body = \"1 KX\" }",
        "[service.stripe]\ntimeouts = { idle = \"10\" }",
        "[service.stripe]\nupstream = { http2 = true }",
        "[service.stripe]\nupstream = { http2 = \"yes\" }",
        "[service.stripe]\nallow_plaintext = \"yes\"",
        "[service.stripe]\nverify = { path = \"/\", expect = [70000] }",
        "[service.stripe]\nlimits = { reset = \"epoch\" }",
        "[service.stripe]\nvars = { a = \"b\" }",
        "[credential.x]\nservice = \"stripe\"\nkey = \"k\"",
        "[credential.x]\nservice = \"stripe\"\nfields = [\"a\"]",
        "[credential.x]\nservice = \"stripe\"\nfields = { key = \"x\" }",
        "[credential.x]\nservice = \"stripe\"\nenv = 2020-01-01",
    ];
    for text in table {
        assert!(!judged(text).is_empty(), "the schema admits:\n{text}");
        assert!(load(text).is_err(), "the parser admits:\n{text}");
    }
}

#[test]
fn what_the_parser_admits_the_schema_admits_too() {
    let table = [
        "",
        "[listen]\nproxy = \"unix:a.sock\"\nconsole = \"off\"\nthreads = 1024",
        "[service.stripe]",
        "[service.stripe]\nrate = { limit = \"60 / min\", burst = 4294967295 }",
        "[service.stripe]\nretry = { attempts = 8, max_body = \"16 mib\" }",
        "[service.stripe]\ntimeouts = { idle = \"1 h\", connect = \"250ms\", first_byte = \"10min\" }",
        "[service.stripe]\nretry = { max_body = \"64${EMPTY}KB\" }",
        "[service.stripe]\n[service.stripe.vars.a]",
    ];
    for text in table {
        good(text);
        assert_eq!(judged(text), Vec::<String>::new(), "{text}");
    }
}
