//! Lists in pages. A cursor names the last item that was seen and not a number, so that what comes and goes meanwhile shifts
//! nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// How many items a page has unless somebody asks for another number.
pub(super) const DEFAULT: u16 = 50;
/// How many it may have.
pub(super) const MOST: u16 = 500;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// Where the next page begins, for `after`; null at the end.
    pub(super) next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many items, 1 to 500; 50 unless given.
    #[param(minimum = 1, maximum = 500, example = 50)]
    pub(super) limit: Option<u16>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// How many items a page shall have.
///
/// # Errors
/// When it is none or too many.
pub(super) fn limit(asked: Option<u16>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(DEFAULT);
    if (1..=MOST).contains(&limit) {
        return Ok(limit.into());
    }
    Err(Problem::invalid(format!("the query: `limit` is 1 to {MOST}")))
}

impl PageQuery {
    /// How many items there are to be, and after which key.
    ///
    /// # Errors
    /// When the limit or the cursor cannot be.
    pub(super) fn bounds(&self) -> Result<(usize, Option<String>), Problem> {
        Ok((limit(self.limit)?, self.after.as_deref().map(read).transpose()?))
    }

    /// The page of `items`, in the order of their keys, which must differ.
    ///
    /// # Errors
    /// When the limit or the cursor cannot be.
    pub(super) fn cut<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Problem> {
        let (limit, after) = self.bounds()?;
        let mut keyed: Vec<(String, T)> = items.into_iter().map(|item| (key(&item), item)).collect();
        keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut rest = keyed.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let page: Vec<_> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(page.last()).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
        Ok(Page { items: page.into_iter().map(|(_, item)| item).collect(), next })
    }
}

/// The key in a cursor.
fn read(cursor: &str) -> Result<String, Problem> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| Problem::invalid("the query: `after` is what `next` of the page before says, unchanged"))
}
