//! Who acts: the operator of this machine, or a user of the console. What somebody may do follows from this alone; who they
//! are was proved before, by the operating system or by a session.

use crate::domain::{Role, User, UserId};

use super::OperationError;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever runs the command line on this machine: can read the store's file and the master key anyway, so may do
    /// everything.
    Operator {
        /// The name of the operating system's user.
        name: String,
    },
    /// A user who administers: sees that all keys exist, and may do everything but see a value.
    Admin(User),
    /// A user: sees and changes its own, and sees what is shared with it.
    Member(User),
}

impl Actor {
    /// A user, as its role has it.
    pub fn of(user: User) -> Self {
        match user.role {
            Role::Admin => Self::Admin(user),
            Role::Member => Self::Member(user),
        }
    }

    /// The operator who runs this process.
    pub fn operator() -> Self {
        Self::Operator { name: system_user() }
    }

    /// The running proxy itself, for what is due without anybody asking. The name is one that no user of an operating system
    /// has.
    pub fn proxy() -> Self {
        Self::Operator { name: "(proxy)".to_owned() }
    }

    /// How the audit names it. A user is told from an operating system's user of the same name.
    pub fn label(&self) -> String {
        match self {
            Self::Operator { name } => name.clone(),
            Self::Admin(user) | Self::Member(user) => format!("user:{}", user.name),
        }
    }

    /// The user that it is, when it is one of ours.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Operator { .. } => None,
            Self::Admin(user) | Self::Member(user) => Some(user),
        }
    }

    /// The user that sees only its own and what is shared with it; none for who sees that everything exists.
    pub(super) fn member(&self) -> Option<&User> {
        if let Self::Member(user) = self { Some(user) } else { None }
    }

    /// Whether it may change what belongs to `owner`.
    pub(super) fn rules(&self, owner: &UserId) -> bool {
        self.member().is_none_or(|user| user.id == *owner)
    }

    /// Refuses who does not administer.
    pub(super) fn must_administer(&self) -> Result<(), OperationError> {
        if self.member().is_none() {
            Ok(())
        } else {
            Err(OperationError::Forbidden("only an administrator may do this"))
        }
    }

    /// Refuses who would take its own rights away: so there is always somebody left who administers.
    pub(super) fn must_not_be(&self, user: &User) -> Result<(), OperationError> {
        if self.user().is_none_or(|actor| actor.id != user.id) {
            return Ok(());
        }
        Err(OperationError::Forbidden("nobody does this to oneself; another administrator can"))
    }
}

/// The name of the operating system's user who runs this. Taken from the user database and not from the environment, which
/// anybody can set.
pub fn system_user() -> String {
    let id = rustix::process::getuid().as_raw();
    let database = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(id, &database).unwrap_or_else(|| format!("uid:{id}"))
}

/// The name of the user `id` in the text of passwd(5).
pub(super) fn name_of(id: u32, database: &str) -> Option<String> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}
