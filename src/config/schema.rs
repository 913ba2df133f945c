//! The JSON Schema of proxy.toml (draft 2020-12), made from the wire structs. It is written for editors and it is what
//! `shape` checks a file against, so parser and schema cannot disagree on a key.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::wire::FileRecord;

/// Where editors find it: beside the file.
const TITLE: &str = "proxy.toml";

/// The schema as it is committed in `proxy.schema.json`.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema =
            SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<FileRecord>().to_value();
        plain(&mut schema);
        if let Value::Object(root) = &mut schema {
            root.insert("title".to_owned(), json!(TITLE));
        }
        schema
    })
}

/// Rewrites what is Rust's and not TOML's: there is no `null`, a default stands in the description, and the width of an
/// integer is a bound.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            plain_object(object);
            for (key, inner) in object.iter_mut() {
                match (key.as_str(), inner) {
                    // Below these stand names and then schemas; below an enumeration stand plain words.
                    ("properties" | "$defs", Value::Object(named)) => named.values_mut().for_each(plain),
                    ("enum", _) => {}
                    (_, inner) => plain(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn plain_object(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        match choices.as_mut_slice() {
            [Value::Object(only)] => object.append(only),
            _ => {
                object.insert("anyOf".to_owned(), Value::Array(choices));
            }
        }
    }
    object.remove("default");
    if let Some(format) = object.get("format").and_then(Value::as_str) {
        let largest = match format {
            "uint16" => u64::from(u16::MAX),
            _ => u64::from(u32::MAX),
        };
        if format.starts_with("uint") {
            object.entry("maximum").or_insert(json!(largest));
            object.entry("minimum").or_insert(json!(0));
            object.remove("format");
        }
    }
}
