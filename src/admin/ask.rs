//! Reading requests: a body as JSON into memory that is wiped, the query, the names in the path. What cannot be read is
//! answered with the place and without repeating a value, which may be a key.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::domain::{Name, Perimeter};
use crate::operations::Party;

use super::problem::Problem;

/// The largest body, in bytes.
const LARGEST: usize = 1 << 20;
/// The longest name of a member that is repeated: what is longer may be a key.
const LONGEST_SHOWN: usize = 20;

/// A body in JSON.
pub(super) struct Told<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Told<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let text = "send the body as JSON, with `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", text));
        }
        let bytes = whole(request.into_body()).await?;
        // Members by their place in a list would be read too, and nobody could tell what they mean.
        if bytes.trim_ascii_start().first().is_some_and(|first| matches!(first, b'[' | b'"')) {
            return Err(Problem::invalid("the body is to be a JSON object"));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let told = serde_path_to_error::deserialize(&mut reader).map_err(|error| unread(&error))?;
        reader.end().map_err(|error| malformed(&error))?;
        Ok(Self(told))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole body, in one buffer that is wiped and never grows beyond what a body may have.
async fn whole(mut body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = http_body::Body::size_hint(&body).lower();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let too_large = || {
        let text = "the body is larger than 1 MiB, which nothing here needs";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    };
    if announced > LARGEST {
        return Err(too_large());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(if announced == 0 { LARGEST } else { announced }));
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(StatusCode::BAD_REQUEST, "malformed", "the body broke off before its end");
        let frame = frame.map_err(broken)?;
        let Some(piece) = frame.data_ref() else { continue };
        if bytes.len() + piece.len() > LARGEST {
            return Err(too_large());
        }
        bytes.extend_from_slice(piece);
    }
    Ok(bytes)
}

fn unread(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if !inner.is_data() {
        return malformed(inner);
    }
    let at = error.path().to_string();
    let shown = at.split(['.', '[', ']']).all(|step| step.len() <= LONGEST_SHOWN);
    let place = if at == "." || !shown { String::new() } else { format!("`{at}`: ") };
    Problem::invalid(format!("{place}{} (line {}, column {})", unquoted(inner), inner.line(), inner.column()))
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = if error.is_eof() { "the body ends before its JSON does" } else { "the body is not JSON" };
    Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("{text} (line {line}, column {column})"))
}

/// What the parser says, without a value or a long name that it found.
fn unquoted(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    match expected {
        Some(expected) if text.starts_with("invalid ") => format!("a value of the wrong kind, expected {expected}"),
        Some(expected) if text.starts_with("unknown ") => {
            let found = text.split('`').nth(1).filter(|found| found.len() <= LONGEST_SHOWN);
            let found = found.map_or_else(|| "a name".to_owned(), |found| format!("`{found}`"));
            format!("{found} is not known here, expected {expected}")
        }
        _ if text.starts_with("missing field ") || text.starts_with("duplicate field ") => text.to_owned(),
        _ if text.starts_with("unknown field ") => "there are no members here".to_owned(),
        _ => SAID.iter().find(|said| text == **said).map_or("it cannot be read", |said| said).to_owned(),
    }
}

/// What our own readers say; none of it repeats what was found.
const SAID: [&str; 4] = [NAME, PARTY, MOMENT, NETWORK];
const NAME: &str = "a name is 1 to 64 of a-z, 0-9, `-`, `_`, `.`, starting with a letter or digit";
const PARTY: &str = "write it as user:NAME, team:NAME, caller:NAME or everyone";
const MOMENT: &str = "write a moment of RFC 3339, such as 2027-01-31T00:00:00Z";
const NETWORK: &str = "write a network, such as 10.1.0.0/16, or a single address";

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let text = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Problem::invalid(format!("the query: {text}"))
        })?;
        Ok(Self(asked))
    }
}

/// What stands in the path.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(at) = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("the path holds a name that nothing can have"))?;
        Ok(Self(at))
    }
}

/// A name, in a body, a query or a path.
#[derive(Debug, Clone)]
pub(super) struct Named(pub(super) Name);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Name::new(&text).map(Self).map_err(|_| serde::de::Error::custom(NAME))
    }
}

/// A moment of RFC 3339, in Unix seconds.
pub(super) struct Moment(pub(super) i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(|_| serde::de::Error::custom(MOMENT))?;
        Ok(Self(at.as_second()))
    }
}

/// With whom a key is shared.
pub(super) struct PartyTold(pub(super) Party);

impl<'de> Deserialize<'de> for PartyTold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(PARTY))
    }
}

/// A network that connections may come from.
pub(super) struct Network(pub(super) IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Perimeter::network(&text).map(Self).map_err(|_| serde::de::Error::custom(NETWORK))
    }
}

/// Names, as operations take them.
pub(super) fn names(named: Vec<Named>) -> Vec<Name> {
    named.into_iter().map(|named| named.0).collect()
}

/// A value that is a secret, wiped when it is dropped.
pub(super) struct SecretText(pub(super) Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }
}

/// A passphrase, wiped when it is dropped.
pub(super) struct PassphraseText(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for PassphraseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new).map(Self)
    }
}

/// A member that may be absent, null or there: `None`, `Some(None)`, `Some(Some(…))`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
