//! Where in a request a credential goes.

use http::HeaderName;

use super::{Name, Template};

/// One place in the request. A service has one or several; all are filled from the same credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// A header line. `bearer` is this with `Authorization` and `Bearer {key}`; a prefix is part of the template.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The name as it is written on the wire at HTTP/1.
        spelled: Box<str>,
        /// The whole value.
        value: Template,
    },
    /// A query parameter; percent-encoded when it is placed.
    Query {
        /// The parameter's name, decoded.
        name: Box<str>,
        /// The whole value.
        value: Template,
    },
    /// `Authorization: Basic` of the two (RFC 7617).
    Basic {
        /// Before the colon.
        username: Template,
        /// After the colon.
        password: Template,
    },
    /// A cookie pair, beside the caller's other cookies.
    Cookie {
        /// The cookie's name.
        name: Box<str>,
        /// The whole value.
        value: Template,
    },
    /// Path segments put between the base URL's path and the caller's, such as `/bot{key}`.
    Path {
        /// The segments, starting with `/`.
        template: Template,
    },
}

impl Placement {
    /// The fields this place needs, with repetitions.
    pub fn fields(&self) -> Vec<&Name> {
        match self {
            Self::Header { value, .. } | Self::Query { value, .. } | Self::Cookie { value, .. } => {
                value.holes().collect()
            }
            Self::Basic { username, password } => username.holes().chain(password.holes()).collect(),
            Self::Path { template } => template.holes().collect(),
        }
    }

    /// The place in a few words, for `explain` and listings: `header X-API-Key`, `query api_key`.
    pub fn describe(&self) -> String {
        match self {
            Self::Header { spelled, value, .. } => format!("header {spelled}: {value}"),
            Self::Query { name, value } => format!("query ?{name}={value}"),
            Self::Basic { username, password } => format!("basic {username}:{password}"),
            Self::Cookie { name, value } => format!("cookie {name}={value}"),
            Self::Path { template } => format!("path {template}"),
        }
    }
}
