//! From bytes to a tree of values, for JSON and YAML alike. Parts that are of no use here (schemas, bodies, examples) are
//! read over and not kept. Size, depth and what YAML's aliases expand to are bounded.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::options::NonFiniteFloatPolicy;

use super::{LARGEST, ReadError};

/// How deep a document may be nested.
const DEEPEST: usize = 96;
/// How deep it is kept: nothing of use stands deeper, and each level that is kept takes some room on the stack.
const KEPT: usize = 24;
/// How much memory a tree may take, about, in bytes.
const MOST: usize = 96 << 20;
/// How many aliases a YAML document may use, and how many nodes they may expand to in all.
const MOST_ALIASES: usize = 10_000;
const MOST_EXPANDED: usize = 500_000;
/// What each node costs besides its text, about.
const NODE: usize = size_of::<Value>();
/// How many repeated keys are remembered.
const MOST_REPEATED: usize = 100;

/// A document.
pub(super) struct Tree {
    /// Its value; what was read over is `null`.
    pub(super) root: Value,
    /// The places of keys that stand twice in one table, as JSON pointers.
    pub(super) repeated: Vec<String>,
}

/// Reads a document: as JSON when it begins like JSON, else as YAML.
pub(super) fn parse(bytes: &[u8]) -> Result<Tree, ReadError> {
    if bytes.len() > LARGEST {
        return Err(ReadError::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ReadError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        return yaml(text);
    }
    // YAML's flow style begins like JSON and allows more, a comma at the end of a list for example.
    json(text).or_else(|error| yaml(text).map_err(|_| error))
}

fn json(text: &str) -> Result<Tree, ReadError> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let root = Node::root(&state).deserialize(&mut deserializer);
    let root = root.and_then(|root| deserializer.end().map(|()| root)).map_err(|error| {
        let (line, column) = (error.line() as u64, error.column() as u64);
        ReadError::Syntax { format: "JSON", line, column, problem: without_place(&error.to_string()) }
    })?;
    Ok(Tree { root, repeated: state.repeated.into_inner() })
}

fn yaml(text: &str) -> Result<Tree, ReadError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            // The size of the text bounds these.
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            simple_key_max_lookahead: 64 << 10,
            max_documents: 1,
            max_aliases: MOST_ALIASES,
            max_anchors: MOST_ALIASES,
            max_recorded_anchor_events: MOST_EXPANDED,
            max_recorded_anchor_bytes: 4 << 20,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_EXPANDED },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        null_as_string: true,
        with_snippet: false,
    };
    let state = State::default();
    let read = |deserializer: serde_saphyr::Deserializer<'_, '_>| Node::root(&state).deserialize(deserializer);
    let root = serde_saphyr::with_deserializer_from_str_with_options(text, options, read);
    let root = root.map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
        ReadError::Syntax { format: "YAML", line, column, problem: without_place(&error.to_string()) }
    })?;
    Ok(Tree { root, repeated: state.repeated.into_inner() })
}

/// What a parser says, without the place that stands beside it anyway.
fn without_place(message: &str) -> String {
    super::walk::visible(message.split(" at line ").next().unwrap_or_default())
}

/// What all nodes of a document share while it is read.
#[derive(Default)]
struct State {
    spent: Cell<usize>,
    repeated: RefCell<Vec<String>>,
}

impl State {
    /// Accounts for a node with `bytes` of text.
    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let spent = self.spent.get().saturating_add(bytes).saturating_add(NODE);
        self.spent.set(spent);
        if spent > MOST { Err(E::custom("the document expands to more than can be held")) } else { Ok(()) }
    }
}

/// A place on the way down, for pointers.
#[derive(Clone, Copy)]
struct Place<'p> {
    above: Option<&'p Place<'p>>,
    key: &'p str,
    depth: usize,
}

impl<'p> Place<'p> {
    fn below(&'p self, key: &'p str) -> Self {
        Self { above: Some(self), key, depth: self.depth + 1 }
    }

    fn pointer(&self) -> String {
        let above = self.above.map(Place::pointer).unwrap_or_default();
        if self.above.is_none() && self.key.is_empty() { above } else { super::walk::below(&above, self.key) }
    }
}

/// Where in a description a node stands, as far as that decides what is kept below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Root,
    Components,
    Paths,
    PathItem,
    Operations,
    Operation,
    Responses,
    AllResponses,
    Response,
    Whole,
}

impl Spot {
    /// What becomes of the member `key`; none when nothing below it is of use. That it was there is kept in any case.
    fn below(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Root, "paths") | (Self::Components, "pathItems") => Some(Self::Paths),
            (Self::Root, "components") => Some(Self::Components),
            (Self::Root | Self::Components, "responses") => Some(Self::AllResponses),
            (Self::Root, key) => ROOT.contains(&key).then_some(Self::Whole),
            (Self::Components, key) => COMPONENTS.contains(&key).then_some(Self::Whole),
            (Self::Paths, _) => Some(Self::PathItem),
            (Self::PathItem, "parameters" | "servers" | "$ref") | (Self::Response, "headers" | "$ref") => {
                Some(Self::Whole)
            }
            (Self::PathItem, "additionalOperations") => Some(Self::Operations),
            (Self::PathItem, "summary" | "description") => None,
            (Self::PathItem | Self::Operations, _) => Some(Self::Operation),
            (Self::Operation, "responses") => Some(Self::Responses),
            (Self::Operation, key) => OPERATION.contains(&key).then_some(Self::Whole),
            (Self::Responses, "429") | (Self::AllResponses, _) => Some(Self::Response),
            (Self::Responses | Self::Response, _) => None,
            (Self::Whole, _) => Some(Self::Whole),
        }
    }
}

/// What is kept of the document, of its components and of an operation, besides what the match above names.
const ROOT: [&str; 11] = [
    "openapi",
    "swagger",
    "info",
    "servers",
    "host",
    "basePath",
    "schemes",
    "security",
    "securityDefinitions",
    "parameters",
    "externalDocs",
];
const COMPONENTS: [&str; 2] = ["securitySchemes", "parameters"];
const OPERATION: [&str; 6] = ["operationId", "tags", "parameters", "security", "servers", "deprecated"];

/// One node to be read.
struct Node<'s, 'p> {
    state: &'s State,
    place: Place<'p>,
    spot: Spot,
}

impl<'s> Node<'s, '_> {
    fn root(state: &'s State) -> Self {
        Self { state, place: Place { above: None, key: "", depth: 0 }, spot: Spot::Root }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.state.spend(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.state.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.state.spend(0).map(|()| value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_string(value.to_string())
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_string(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.state.spend(0).map(|()| value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.state.spend(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.state.spend(value.len())?;
        Ok(Value::String(value))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.state.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.state.spend(0)?;
        let mut items = Vec::new();
        // What lists hold is kept as it is: no list stands on the way to what is read over.
        let place = self.place.below("-");
        if place.depth > KEPT {
            while access.next_element::<IgnoredAny>()?.is_some() {}
        }
        while let Some(item) = access.next_element_seed(Node { state: self.state, place, spot: Spot::Whole })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.state.spend(0)?;
        let mut members = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            self.state.spend(key.len())?;
            let place = self.place.below(&key);
            let value = match self.spot.below(&key).filter(|_| place.depth <= KEPT) {
                Some(spot) => access.next_value_seed(Node { state: self.state, place, spot })?,
                None => access.next_value::<IgnoredAny>().map(|_| Value::Null)?,
            };
            if members.contains_key(&key) {
                let mut repeated = self.state.repeated.borrow_mut();
                if repeated.len() < MOST_REPEATED {
                    repeated.push(place.pointer());
                }
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}
