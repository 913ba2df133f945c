//! With whom a key is shared, as people write it.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Name, NameError, Share};

use super::{OperationError, Operations};

/// `user:NAME`, `team:NAME`, `caller:NAME` or `everyone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// Every caller of this user.
    User(Name),
    /// Every caller of every member of this team.
    Team(Name),
    /// This caller alone.
    Caller(Name),
    /// Every caller.
    Everyone,
}

/// Why a text is no [`Party`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyError {
    /// Not of the form.
    #[error("write it as user:NAME, team:NAME, caller:NAME or everyone")]
    Form,
    /// What follows the colon is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for Party {
    type Err = PartyError;

    fn from_str(text: &str) -> Result<Self, PartyError> {
        match text.split_once(':') {
            None if text == "everyone" => Ok(Self::Everyone),
            Some(("user", name)) => Ok(Self::User(Name::new(name)?)),
            Some(("team", name)) => Ok(Self::Team(Name::new(name)?)),
            Some(("caller", name)) => Ok(Self::Caller(Name::new(name)?)),
            _ => Err(PartyError::Form),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Caller(name) => write!(f, "caller:{name}"),
            Self::Everyone => f.write_str("everyone"),
        }
    }
}

impl Operations {
    /// Who that is for the store.
    pub(super) fn share_with(&self, party: &Party) -> Result<Share, OperationError> {
        Ok(match party {
            Party::User(name) => Share::User(self.user_named(name)?.id),
            Party::Team(name) => Share::Team(self.vault.team_named(name)?.team.id),
            Party::Caller(name) => Share::Caller(self.vault.caller_named(name)?.caller.id),
            Party::Everyone => Share::Everyone,
        })
    }
}
