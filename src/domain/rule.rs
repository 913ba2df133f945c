//! One `allow` rule: a method and a path pattern, matched on the bytes that are sent.

use std::fmt;

/// `METHOD /pattern`: `*` is one segment or any method, `**` any number of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    method: Option<Box<str>>,
    segments: Box<[Segment]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    One,
    Any,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not `METHOD /path`.
    #[error("a rule is `METHOD /path`, for example `GET /v1/**` or `* /v1/charges`")]
    Shape,
    /// The method has a character that no method has.
    #[error("`{0}` is not a method: write it in upper case, or `*` for any")]
    Method(String),
    /// The path has a query, a fragment, or a `*` inside a segment.
    #[error("`{0}`: a `*` stands for a whole segment, and a path has neither `?` nor `#`")]
    Path(String),
}

impl Rule {
    /// Parses `METHOD /pattern`.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let (method, path) = text.trim().split_once(char::is_whitespace).ok_or(RuleError::Shape)?;
        let path = path.trim().strip_prefix('/').ok_or(RuleError::Shape)?;
        if path.contains(['?', '#']) || path.contains(char::is_whitespace) {
            return Err(RuleError::Path(format!("/{path}")));
        }
        let method = match method {
            "*" => None,
            m if m.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => Some(m.into()),
            m => return Err(RuleError::Method(m.into())),
        };
        let segments = path
            .split('/')
            .map(|segment| match segment {
                "*" => Ok(Segment::One),
                "**" => Ok(Segment::Any),
                s if s.contains('*') => Err(RuleError::Path(format!("/{path}"))),
                s => Ok(Segment::Literal(s.into())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { method, segments })
    }

    /// Whether `method` and `path` (without the query, as sent) are within the rule.
    pub fn admits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|m| m == method)
            && path.strip_prefix('/').is_some_and(|path| matches(&self.segments, path))
    }
}

/// Matches segment by segment. Only the last `**` is ever retried, so the cost is at most segments × pattern.
fn matches(pattern: &[Segment], path: &str) -> bool {
    let path: Vec<&str> = path.split('/').collect();
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while s < path.len() {
        let fits = match (pattern.get(p), path.get(s)) {
            (Some(Segment::Any), _) => {
                retry = Some((p, s));
                p += 1;
                continue;
            }
            (Some(Segment::One), Some(segment)) => !segment.is_empty(),
            (Some(Segment::Literal(literal)), Some(segment)) => &**literal == *segment,
            _ => false,
        };
        if fits {
            p += 1;
            s += 1;
        } else if let Some((any, from)) = retry {
            retry = Some((any, from + 1));
            p = any + 1;
            s = from + 1;
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|segment| *segment == Segment::Any))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.as_deref().unwrap_or("*"))?;
        f.write_str(" ")?;
        for segment in &*self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::One => f.write_str("/*")?,
                Segment::Any => f.write_str("/**")?,
            }
        }
        Ok(())
    }
}
