//! Callers: the workflows and runners that may ask. A token is shown once, by the act that made it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Environment, Name, Perimeter, Weight};
use crate::store::{CallerEdit, ListedCaller};
use crate::vault::{Token, Vault};

use super::view::moment;
use super::{Actor, OperationError, Operations};

/// How long the token of a run goes on by itself, in seconds: when whoever began it is killed, it ends so.
pub const RUN_LIFE: i64 = 60 * 60;

/// A caller to be added.
#[derive(Debug, Clone)]
pub struct NewCaller {
    /// What to call it.
    pub name: Name,
    /// The user it belongs to; when absent the actor, or `local` for the operator.
    pub owner: Option<Name>,
    /// It sees only keys of this environment, or of none.
    pub environment: Option<Environment>,
    /// Where its connections must come from.
    pub perimeter: Perimeter,
    /// How many turns it has in a queue where others have one.
    pub weight: Weight,
}

/// A caller as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallerView {
    /// Its name.
    pub name: Name,
    /// Its identifier.
    pub id: String,
    /// The name of its owner.
    pub owner: Name,
    /// Its environment.
    pub environment: Option<Environment>,
    /// Whether it proves itself by a token; without one it counts in mode `open` alone.
    pub has_token: bool,
    /// Until when its former token goes on beside the present one.
    pub former_token_until: Option<Timestamp>,
    /// The networks that its connections by TCP must come from; with these and `peer_uids` empty, anywhere.
    pub from: Vec<String>,
    /// The users of the machine that its connections by a Unix socket must come from.
    pub peer_uids: Vec<u32>,
    /// How many turns it has where requests wait and others have one: 1 to 10.
    pub weight: u8,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last seen; noted with a delay.
    pub last_used_at: Option<Timestamp>,
}

/// A caller and its fresh token, in the one moment in which it can be shown.
#[derive(Debug)]
pub struct TokenShown {
    /// The caller.
    pub caller: CallerView,
    /// Its token.
    pub token: Token,
}

impl CallerView {
    fn of(listed: &ListedCaller, now: i64) -> Self {
        let caller = &listed.caller;
        Self {
            name: caller.name.clone(),
            id: caller.id.to_string(),
            owner: listed.owner_name.clone(),
            environment: caller.environment.clone(),
            has_token: caller.token_digest.is_some(),
            former_token_until: caller.former.map(|former| former.until).filter(|until| *until > now).map(moment),
            from: caller.perimeter.networks.iter().map(ToString::to_string).collect(),
            peer_uids: caller.perimeter.uids.clone(),
            weight: caller.weight.get(),
            created_at: moment(listed.created_at),
            last_used_at: listed.last_used_at.map(moment),
        }
    }
}

/// Turns are taken from others, so who gets more of them is an administrator's business.
fn may_weigh(actor: &Actor, weight: Option<Weight>) -> Result<(), OperationError> {
    weight.map_or(Ok(()), |_| actor.must_administer())
}

impl Operations {
    /// Adds a caller.
    ///
    /// # Errors
    /// When the name is taken, the owner unknown or somebody else's than a member's own, or it cannot be kept or recorded.
    pub fn add_caller(&self, actor: &Actor, new: &NewCaller) -> Result<TokenShown, OperationError> {
        let pen = self.pen(actor)?;
        may_weigh(actor, Some(new.weight).filter(|weight| *weight != Weight::ONE))?;
        let owner = self.owner_for(actor, new.owner.as_ref())?;
        let NewCaller { name, environment, perimeter, weight, .. } = new.clone();
        let in_words = perimeter.to_string();
        let mut details = vec![("owner", owner.name.as_str())];
        details.extend((!in_words.is_empty()).then_some(("perimeter", in_words.as_str())));
        let turns = weight.get().to_string();
        details.extend((weight != Weight::ONE).then_some(("weight", turns.as_str())));
        let add = |vault: &Vault| vault.add_caller(&name, &owner.id, environment, perimeter, weight);
        let (_, token, _) = pen.act("caller.add", &details, add)?;
        Ok(TokenShown { caller: self.caller(actor, &name)?, token })
    }

    /// Gives a caller another token. The former goes on for `overlap`, or is worth nothing from the next request on; one that
    /// was former already is.
    ///
    /// # Errors
    /// When there is no such caller, or the change cannot be kept or recorded.
    pub fn rotate_caller(
        &self,
        actor: &Actor,
        name: &Name,
        overlap: Option<Duration>,
    ) -> Result<TokenShown, OperationError> {
        let pen = self.pen(actor)?;
        let listed = self.find_caller(actor, name)?;
        let seconds = overlap.map(|overlap| i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX));
        // Only a token can go on, and a caller may have none.
        let seconds = seconds.filter(|seconds| *seconds > 0 && listed.caller.token_digest.is_some());
        let until = seconds.map(|seconds| self.now().saturating_add(seconds));
        let in_words = until.map(|until| moment(until).to_string());
        let details: Vec<_> = in_words.iter().map(|until| ("former_until", until.as_str())).collect();
        let (token, _) = pen.act("caller.rotate", &details, |vault| vault.rotate_caller(&listed.caller.id, until))?;
        Ok(TokenShown { caller: self.caller(actor, name)?, token })
    }

    /// Gives a caller a token for one run of a program. Its own stays.
    ///
    /// # Errors
    /// When there is no such caller, or it cannot be kept or recorded.
    pub fn begin_run(&self, actor: &Actor, name: &Name, program: &str) -> Result<Token, OperationError> {
        let pen = self.pen(actor)?;
        let listed = self.find_caller(actor, name)?;
        let begin = |vault: &Vault| vault.begin_run(&listed.caller.id, RUN_LIFE);
        let (token, _) = pen.act("caller.run", &[("program", program)], begin)?;
        Ok(token)
    }

    /// Has the token of a run go on. To be called more often than [`RUN_LIFE`] passes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn extend_run(&self, token: &Token) -> Result<(), OperationError> {
        Ok(self.vault.extend_run(&token.digest(), RUN_LIFE)?)
    }

    /// Ends the token of a run.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_run(&self, token: &Token) -> Result<(), OperationError> {
        Ok(self.vault.end_run(&token.digest())?)
    }

    /// Changes a caller's environment, perimeter or weight; its token stays.
    ///
    /// # Errors
    /// When there is no such caller, or the change cannot be kept or recorded.
    pub fn edit_caller(&self, actor: &Actor, name: &Name, edit: &CallerEdit) -> Result<CallerView, OperationError> {
        let pen = self.pen(actor)?;
        may_weigh(actor, edit.weight)?;
        let listed = self.find_caller(actor, name)?;
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        let environment = edit.environment.as_ref().map(|env| env.as_ref().map(Name::to_string).unwrap_or_default());
        let perimeter = edit.perimeter.as_ref().map(ToString::to_string);
        let weight = edit.weight.map(|weight| weight.get().to_string());
        let changes = [("environment", environment), ("perimeter", perimeter), ("weight", weight)];
        let changes: Vec<_> = changes.into_iter().filter_map(|(what, text)| Some((what, or_none(text?)))).collect();
        let details: Vec<_> = changes.iter().map(|(what, text)| (*what, text.as_str())).collect();
        pen.act("caller.edit", &details, |vault| vault.edit_caller(&listed.caller.id, edit))?;
        self.caller(actor, name)
    }

    /// Ends a caller, its token, and what was shared with it alone.
    ///
    /// # Errors
    /// When there is no such caller, it is `local`, or the change cannot be kept or recorded.
    pub fn delete_caller(&self, actor: &Actor, name: &Name) -> Result<(), OperationError> {
        let pen = self.pen(actor)?;
        let listed = self.find_caller(actor, name)?;
        pen.act("caller.delete", &[], |vault| vault.delete_caller(&listed.caller.id)).map(drop)
    }

    /// The callers that `actor` may see, by name: a member its own, everybody else all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn callers(&self, actor: &Actor) -> Result<Vec<CallerView>, OperationError> {
        let all = self.vault.callers()?;
        let seen = all.iter().filter(|listed| actor.rules(&listed.caller.owner));
        Ok(seen.map(|listed| CallerView::of(listed, self.now())).collect())
    }

    /// The caller called `name`.
    ///
    /// # Errors
    /// When there is none that `actor` may see, or the store fails.
    pub fn caller(&self, actor: &Actor, name: &Name) -> Result<CallerView, OperationError> {
        self.find_caller(actor, name).map(|listed| CallerView::of(&listed, self.now()))
    }

    fn find_caller(&self, actor: &Actor, name: &Name) -> Result<ListedCaller, OperationError> {
        let listed = self.vault.caller_named(name)?;
        if actor.rules(&listed.caller.owner) {
            return Ok(listed);
        }
        Err(OperationError::unknown("caller", name.as_str()))
    }
}
