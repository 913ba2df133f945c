//! The reading of one answer: of which class it is, how long nothing should be sent, and what each limit had left. Values
//! only; they are small, and those of an answer without limits hold no memory of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::numbers::numbers;

/// A limit of this window or a longer one is one of a day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many limits one answer may tell of.
const MOST_DIMENSIONS: usize = 16;

/// What one answer says of the limit it met.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Reading {
    /// What kind of answer it is.
    pub class: Class,
    /// The hint: never send before now and this. None when the answer gives none, and nothing is known of the service.
    pub wait: Option<Duration>,
    /// Whether the answer itself gives it; else it is what is known of the service.
    pub told: bool,
    /// The time between two requests at the rate that the answer tells of, or that is published.
    pub policy: Option<Duration>,
    /// What each limit had left when the answer was made.
    pub dimensions: Dimensions,
    /// The dimension that made the wait, when one did.
    pub met: Option<DimensionName>,
    /// The upstream bucket that the answer names.
    pub bucket: Option<Bucket>,
    /// For whom the answer speaks: for the whole owner, or for the bucket alone.
    pub scope: Scope,
    /// The limit is one of requests at once, not of requests in a time: fewer at once help, waiting does not.
    pub concurrency: bool,
    /// Whether the catalogue vouches for the headers the wait came from.
    pub trusted: bool,
    /// Whether the limits are told by headers that are not those of the service's family, so that nobody vouches for them.
    pub foreign: bool,
    /// Whether the service counts the request against its owner as an invalid one, whatever it was for.
    pub is_invalid: bool,
    /// The status and the headers of limits of an answer that closes a gate, one a line, for people.
    pub quoted: Option<Arc<str>>,
    /// False when the answer came from a cache: what it says is as old as it is, and no gate learns from it.
    pub current: bool,
    /// Whether it says nothing of what is left, and takes nothing of it: what was said to another gate, or that nothing
    /// changed (304), which repeats counts that may be a cache's.
    pub uncounted: bool,
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Nothing to do with limits.
    Fine,
    /// Too fast: the gate closes, and the request may be sent again.
    Throttled,
    /// A quota is used up for longer than a request waits: the gate closes, and nothing is sent again.
    Exhausted,
    /// The service has too much to do: the owner's gate closes for the hint.
    Overloaded,
    /// A passing failure on the way: no gate closes.
    Transient,
    /// The key is not accepted, or may not do this.
    Auth,
}

impl Class {
    /// Whether it closes a gate.
    pub const fn closes(self) -> bool {
        matches!(self, Self::Throttled | Self::Exhausted | Self::Overloaded)
    }

    /// Whether another attempt may go better.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Overloaded | Self::Transient)
    }
}

/// For whom an answer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// For all requests of the limit's owner.
    Owner,
    /// For the bucket of the request: the one the answer names, else the one its route belongs to, else all.
    Bucket,
    /// For requests of the same method and path alone, identifiers in the path aside.
    Route,
    /// For something that others use too, so that the owner is not to blame: closes the bucket.
    Shared,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens, points, bytes: something of which one request may take many.
    Amounts,
    /// Requests at once.
    Concurrency,
}

/// What the limit counts that turned a request down, in words that are not from the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// Requests in a time shorter than a day.
    Requests,
    /// Tokens, points or bytes in such a time.
    Tokens,
    /// Requests at once.
    Concurrency,
    /// Either of the former two in a day or longer.
    Daily,
    /// The answer tells of limits, and not which of them is met.
    Other,
    /// The answer tells of no limit.
    None,
}

impl Met {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Requests, Self::Tokens, Self::Concurrency, Self::Daily, Self::Other, Self::None];

    /// As it stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
            Self::Daily => "daily",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

/// What one limit had left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dimension {
    /// Its name.
    pub name: DimensionName,
    /// What it counts.
    pub unit: Unit,
    /// How many are allowed in its window, or how large its bucket is.
    pub limit: Option<u64>,
    /// How many are left; 0 also when the service said less.
    pub remaining: Option<u64>,
    /// When there are more, from now on and by the server's clock.
    pub reset: Option<Duration>,
    /// How long its window is; of a leaky bucket, how long the full one takes to empty.
    pub window: Option<Duration>,
    /// Whether it empties steadily instead of at once at the reset.
    pub leaky: bool,
    /// Whether it fills up steadily, and is full at the reset.
    pub fills: bool,
}

impl Dimension {
    /// A limit of requests of which nothing is known yet.
    pub fn new(name: &str) -> Self {
        Self::named(Word::new(name).unwrap_or_default())
    }

    /// The same with a name that was made before.
    pub(super) const fn named(name: Word) -> Self {
        let unit = Unit::Requests;
        Self { name, unit, limit: None, remaining: None, reset: None, window: None, leaky: false, fills: false }
    }

    /// Whether nothing is left of it.
    pub fn is_exhausted(&self) -> bool {
        self.remaining == Some(0)
    }
}

/// The limits that one answer tells of, at most 16.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dimensions(Vec<Dimension>);

impl Dimensions {
    /// Notes one more; what is above the bound is dropped.
    pub(super) fn push(&mut self, dimension: Dimension) {
        if self.0.len() < MOST_DIMENSIONS {
            self.0.push(dimension);
        }
    }

    /// The one of this name with its index, made when there is none; none when there are too many.
    pub(super) fn of(&mut self, name: Word, new: impl FnOnce() -> Dimension) -> Option<(usize, &mut Dimension)> {
        let index = self.0.iter().position(|dimension| dimension.name == name).unwrap_or(self.0.len());
        if index == self.0.len() {
            self.push(new());
        }
        self.0.get_mut(index).map(|dimension| (index, dimension))
    }

    /// Nothing is left of the one of this name.
    pub(super) fn reject(&mut self, name: &str) {
        let named = self.0.iter_mut().filter(|dimension| dimension.name.as_str() == name);
        named.for_each(|dimension| dimension.remaining = Some(0));
    }

    /// All of them fill up steadily.
    pub(super) fn fill(&mut self) {
        self.0.iter_mut().for_each(|dimension| dimension.fills = true);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Dimension> {
        self.0.get_mut(index)
    }
}

impl FromIterator<Dimension> for Dimensions {
    fn from_iter<I: IntoIterator<Item = Dimension>>(all: I) -> Self {
        Self(all.into_iter().take(MOST_DIMENSIONS).collect())
    }
}

impl std::ops::Deref for Dimensions {
    type Target = [Dimension];

    fn deref(&self) -> &[Dimension] {
        &self.0
    }
}

/// A short name from the wire: at most 63 bytes of visible ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word {
    length: u8,
    bytes: [u8; Self::MOST],
}

/// The name of a limit, such as `requests` or `tokens-day`.
pub type DimensionName = Word;

/// The name of an upstream bucket, such as GitHub's `search` or Discord's hash of a route.
pub type Bucket = Word;

impl Word {
    const MOST: usize = 63;

    /// `text` as a name; none when it is empty, too long to be told from others, or not visible ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::MOST];
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        bytes.get_mut(..text.len()).filter(|_| fits)?.copy_from_slice(text.as_bytes());
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    /// This and `text`, with a `-` between them; none when that is too long or `text` is no name.
    pub fn joined(self, text: &str) -> Option<Self> {
        let other = Self::new(text)?;
        if self.length == 0 {
            return Some(other);
        }
        let (first, second) = (usize::from(self.length), usize::from(other.length));
        let mut bytes = self.bytes;
        *bytes.get_mut(first)? = b'-';
        bytes.get_mut(first + 1..first + 1 + second)?.copy_from_slice(text.as_bytes());
        Some(Self { length: self.length + 1 + other.length, bytes })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.length)).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl Default for Word {
    fn default() -> Self {
        Self { length: 0, bytes: [0; Self::MOST] }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reading {
    /// What an answer without any sign of a limit says.
    pub const fn plain(class: Class) -> Self {
        Self {
            class,
            wait: None,
            told: true,
            policy: None,
            dimensions: Dimensions(Vec::new()),
            met: None,
            bucket: None,
            scope: Scope::Bucket,
            concurrency: false,
            trusted: false,
            foreign: false,
            is_invalid: false,
            quoted: None,
            current: true,
            uncounted: false,
        }
    }

    /// What an answer says that tells of limits.
    pub fn of(class: Class, dimensions: impl IntoIterator<Item = Dimension>) -> Self {
        let mut reading = Self::plain(class);
        dimensions.into_iter().for_each(|dimension| reading.dimensions.push(dimension));
        reading
    }

    /// What the limit counts that it met.
    pub fn met_what(&self) -> Met {
        if self.concurrency {
            return Met::Concurrency;
        }
        let Some(met) = self.dimensions.iter().find(|dimension| Some(dimension.name) == self.met) else {
            return if self.dimensions.is_empty() { Met::None } else { Met::Other };
        };
        let is_daily = met.window.is_some_and(|window| window >= DAY);
        match met.unit {
            Unit::Requests | Unit::Amounts if is_daily => Met::Daily,
            Unit::Requests => Met::Requests,
            Unit::Amounts => Met::Tokens,
            Unit::Concurrency => Met::Concurrency,
        }
    }

    /// Whether it closes the gate of the whole owner, and not that of the bucket alone.
    pub fn speaks_for_owner(&self) -> bool {
        self.scope == Scope::Owner || self.class == Class::Overloaded
    }

    /// The longest that a gate closes for this answer before a request tries again.
    pub fn cap(&self) -> Duration {
        if self.trusted { numbers().longest_vouched } else { numbers().longest_unvouched }
    }

    /// The longest that what it says of limits counts.
    pub fn cap_of_counts(&self) -> Duration {
        if self.foreign { numbers().longest_unvouched } else { self.cap() }
    }

    /// The wait that a refusal asks for, which counts for what it says to be used up.
    pub(super) fn asked(&self) -> Option<Duration> {
        self.wait.filter(|_| self.told && matches!(self.class, Class::Throttled | Class::Exhausted))
    }

    /// Throttled for longer than a request waits, or than its source is trusted for, is exhausted: it is never sent again
    /// sooner than the hint says.
    pub(super) fn settle(&mut self) {
        if self.class == Class::Throttled
            && self.wait.is_some_and(|wait| wait > numbers().exhausted_after.min(self.cap()))
        {
            self.class = Class::Exhausted;
        }
    }
}
