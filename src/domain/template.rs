//! Texts with `{field}` holes, filled from a credential's fields or its pinned tenant variables.

use std::fmt;

use super::Name;

/// A literal or a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that is always the same.
    Literal(Box<str>),
    /// The value of this field or variable.
    Hole(Name),
}

/// A parsed text with `{name}` holes. `{{` and `}}` stand for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("a `{{` or `}}` without its partner; write `{{{{` or `}}}}` for the brace itself")]
    Unbalanced,
    /// A hole whose name is no name.
    #[error("{0}")]
    Name(#[from] super::NameError),
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// On an unbalanced brace or a hole that is not a [`Name`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let inner = brace.strip_prefix('{').ok_or(TemplateError::Unbalanced)?;
                let (name, after) = inner.split_once('}').ok_or(TemplateError::Unbalanced)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::Hole(Name::new(name)?));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Ok(Self { parts: parts.into() })
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names of all holes, in order, with repetitions.
    pub fn holes(&self) -> impl Iterator<Item = &Name> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(name) => Some(name),
            Part::Literal(_) => None,
        })
    }

    /// The text when there is no hole.
    pub fn literal(&self) -> Option<String> {
        self.fill(|_| None)
    }

    /// The text with every hole filled; `None` when `value` knows one of them not. For values that are no secret.
    pub fn fill<'a>(&self, value: impl Fn(&Name) -> Option<&'a str>) -> Option<String> {
        let mut out = String::new();
        for part in &*self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Hole(name) => out.push_str(value(name)?),
            }
        }
        Some(out)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &*self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Hole(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}
