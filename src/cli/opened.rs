//! The configuration, the vault and the audit log, opened for one command, and how names on the command line find what they
//! mean.

use anyhow::Context as _;

use crate::app;
use crate::config::{Config, DeclaredCredential, ServiceEntry};
use crate::domain::{Name, User, UserId};
use crate::record::nearest;
use crate::store::LOCAL;
use crate::vault::Vault;

use super::failure::wrong_use;
use super::refuse::LONGEST_SHOWN;
use super::session::Session;

/// What commands on keys and callers work with.
pub(super) struct Opened {
    /// The configuration.
    pub(super) config: Config,
    /// The keeper of secrets.
    pub(super) vault: Vault,
}

impl Opened {
    /// Opens the store of the configuration; makes it, and the master key, when there is none.
    ///
    /// # Errors
    /// When the configuration is wrong, or the store or its master key cannot be had.
    pub(super) fn or_make(session: &Session) -> anyhow::Result<Self> {
        let config = session.load()?.config;
        let vault = app::open_vault(&config, &session.environment)?;
        Ok(Self { config, vault })
    }

    /// Opens the store of the configuration; none is made.
    ///
    /// # Errors
    /// As [`Self::or_make`], and when there is no store.
    pub(super) fn existing(session: &Session) -> anyhow::Result<Self> {
        let path = session.load()?.config.store;
        if !path.exists() {
            anyhow::bail!(
                "there is no store at {} yet: `sidekey up` or `sidekey key add` makes one; name another configuration \
                 with --config",
                path.display()
            );
        }
        Self::or_make(session)
    }

    /// The service called `name`.
    ///
    /// # Errors
    /// When there is none, with the one that was probably meant.
    pub(super) fn service(&self, name: &Name) -> anyhow::Result<&ServiceEntry> {
        service(&self.config, name)
    }

    /// The user called `name`, else the one that every store has.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(super) fn owner(&self, name: Option<&Name>) -> anyhow::Result<User> {
        let name = name.map_or_else(|| Name::new(LOCAL), |name| Ok(name.clone()))?;
        self.vault.user_named(&name).context("--owner names nobody that the store knows")
    }

    /// The name of a user, or its identifier when it is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn user_names(&self) -> anyhow::Result<UserNames> {
        Ok(UserNames(self.vault.users()?))
    }

    /// The key called `name` that proxy.toml declares.
    pub(super) fn declared(&self, name: &Name) -> Option<&DeclaredCredential> {
        self.config.credentials.iter().find(|credential| credential.name == *name)
    }

    /// Refuses to change a key that proxy.toml declares.
    ///
    /// # Errors
    /// When it declares `name` and the store has none of that name.
    pub(super) fn refuse_declared(&self, name: &Name) -> anyhow::Result<()> {
        if self.declared(name).is_some() && self.vault.find(name, None).is_err() {
            return Err(wrong_use(format!(
                "`{name}` is declared as [credential.{name}] in the configuration: change it there, or where its value \
                 comes from"
            )));
        }
        Ok(())
    }
}

/// The names of users.
pub(super) struct UserNames(Vec<User>);

impl UserNames {
    /// The name of a user, or its identifier when it is gone.
    pub(super) fn of(&self, id: &UserId) -> String {
        self.0.iter().find(|user| user.id == *id).map_or_else(|| id.to_string(), |user| user.name.to_string())
    }
}

/// The service called `name` in a configuration.
///
/// # Errors
/// When there is none, with the one that was probably meant.
pub(super) fn service<'a>(config: &'a Config, name: &Name) -> anyhow::Result<&'a ServiceEntry> {
    config.service(name.as_str()).ok_or_else(|| {
        let known = config.services.iter().map(|entry| entry.service.name.as_str());
        let meant = nearest(name.as_str(), known).map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
        // A text as long as a key may be one, typed in the wrong place.
        let which = if name.as_str().len() > LONGEST_SHOWN { "of that name".to_owned() } else { format!("`{name}`") };
        wrong_use(format!(
            "there is no service {which}.{meant} `sidekey service search WORD` finds the built-in ones; your own stand \
             as [service.NAME] in proxy.toml"
        ))
    })
}
