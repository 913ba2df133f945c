//! The store in one SQLite file. One thread owns the only connection; everybody else sends it work and waits for the reply,
//! so within a process writes stand in a queue and never fight for the lock. Between processes SQLite's own locks hold.
//!
//! Invariant: a write is one `BEGIN IMMEDIATE` transaction, synced to disk (`synchronous=FULL`) before it is acknowledged.

mod authorities;
mod callers;
mod codec;
mod connect;
mod credentials;
#[cfg(test)]
mod fill;
mod gates;
mod inventory;
mod master;
mod page;
mod passes;
mod people;
mod place;
mod runs;
mod schema;
mod services;
mod takeover;
mod unrecorded;
mod worker;

#[cfg(test)]
pub(super) use codec::fields;
#[cfg(test)]
pub(crate) use fill::Filling;
#[cfg(all(test, target_os = "linux"))]
pub(super) use place::network;
#[cfg(test)]
pub(super) use schema::NEWEST;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{
    Caller, CallerId, Credential, CredentialId, QuotaUse, Role, Sealed, ServiceName, Share, Shared, Team, TeamId, User,
    UserId,
};

use super::{
    CallerEdit, Changes, CredentialEdit, CredentialFilter, CredentialHistory, CredentialPage, Deed, InUse, Inheritance,
    Inventory, LabelledValue, ListedCaller, ListedCredential, ListedTeam, ListedUser, MasterRecord, Named, Owned, Pass,
    Receipt, RunToken, SealedContents, Store, StoreError, StoredAuthority, StoredService, Takeover, Unrecorded,
    Verified,
};

use worker::Worker;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    worker: Arc<Worker>,
    /// What the change that is made through this one is written down as.
    deed: Option<Arc<Deed>>,
}

impl Store for Sqlite {
    fn acting(&self, deed: Deed) -> Arc<dyn Store> {
        let (path, worker) = (self.path.clone(), Arc::clone(&self.worker));
        Arc::new(Self { path, worker, deed: Some(Arc::new(deed)) })
    }

    fn unrecorded(&self) -> Result<Vec<Unrecorded>, StoreError> {
        self.read(|connection| unrecorded::all(connection))
    }

    fn forget_recorded(&self, ids: &[String]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write_unannounced(move |transaction| unrecorded::forget(transaction, &ids))
    }

    fn change_counter(&self) -> Result<u64, StoreError> {
        self.read(|connection| inventory::change_counter(connection))
    }

    fn inventory(&self) -> Result<Inventory, StoreError> {
        self.read(inventory::load)
    }

    fn changes_since(&self, counter: u64) -> Result<Changes, StoreError> {
        self.read(move |connection| inventory::since(connection, counter))
    }

    fn master(&self) -> Result<Option<MasterRecord>, StoreError> {
        self.read(master::read)
    }

    fn adopt_master(&self, record: &MasterRecord, at: i64) -> Result<MasterRecord, StoreError> {
        let record = record.clone();
        self.write(move |transaction| master::adopt(transaction, record, at))
    }

    fn sealed_contents(&self) -> Result<SealedContents, StoreError> {
        self.read(master::sealed_contents)
    }

    fn labelled(&self, label: &str) -> Result<Option<LabelledValue>, StoreError> {
        let label = label.to_owned();
        self.read(move |connection| master::labelled(connection, &label))
    }

    fn keep_labelled(&self, value: &LabelledValue) -> Result<(), StoreError> {
        let value = value.clone();
        self.write_unannounced(move |transaction| master::keep_labelled(transaction, &value))
    }

    fn change_slots(&self, former: &MasterRecord, record: &MasterRecord, at: i64) -> Result<Receipt, StoreError> {
        let (former, record) = (former.clone(), record.clone());
        self.write_unannounced(move |transaction| master::change_slots(transaction, &former, &record, at))
    }

    fn replace_master(
        &self,
        former: &MasterRecord,
        record: &MasterRecord,
        rewrapped: SealedContents,
        at: i64,
    ) -> Result<Receipt, StoreError> {
        let both = (former.clone(), record.clone());
        self.write(move |transaction| master::replace(transaction, &both.0, &both.1, &rewrapped, at))
    }

    fn add_credential(
        &self,
        credential: &Credential,
        rotate_every: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError> {
        let credential = credential.clone();
        self.write(move |transaction| credentials::add(transaction, &credential, rotate_every, at))
    }

    fn rotate_credential(
        &self,
        id: &CredentialId,
        number: u32,
        sealed: &Sealed,
        overlap_until: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError> {
        let (id, sealed) = (id.clone(), sealed.clone());
        self.write(move |transaction| credentials::rotate(transaction, &id, number, &sealed, overlap_until, at))
    }

    fn note_verified(&self, id: &CredentialId, verified: &Verified) -> Result<(), StoreError> {
        let (id, verified) = (id.clone(), verified.clone());
        self.write_unannounced(move |transaction| credentials::note_verified(transaction, &id, &verified))
    }

    fn roll_back_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| credentials::roll_back(transaction, &id, at))
    }

    fn edit_credential(&self, id: &CredentialId, edit: &CredentialEdit, at: i64) -> Result<Receipt, StoreError> {
        let (id, edit) = (id.clone(), edit.clone());
        self.write(move |transaction| credentials::edit(transaction, &id, &edit, at))
    }

    fn delete_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| credentials::delete(transaction, &id, at))
    }

    fn restore_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| credentials::restore(transaction, &id, at))
    }

    fn purge(&self, deleted_before: i64, at: i64) -> Result<Vec<Receipt>, StoreError> {
        let destroyed =
            self.write_unannounced(move |transaction| credentials::purge(transaction, deleted_before, at))?;
        if !destroyed.is_empty() {
            // The values' pages still stand in the WAL until it is copied back and cut off.
            self.read(|connection| Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?))?;
        }
        Ok(destroyed)
    }

    fn share(&self, id: &CredentialId, shared: &Shared, at: i64) -> Result<Receipt, StoreError> {
        let (id, shared) = (id.clone(), shared.clone());
        self.write(move |transaction| credentials::share(transaction, &id, &shared, at))
    }

    fn unshare(&self, id: &CredentialId, with: &Share, at: i64) -> Result<Receipt, StoreError> {
        let (id, with) = (id.clone(), with.clone());
        self.write(move |transaction| credentials::unshare(transaction, &id, &with, at))
    }

    fn note_quota_uses(&self, uses: &[QuotaUse]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        self.write_unannounced(move |transaction| credentials::note_quota_uses(transaction, &uses))
    }

    fn quota_uses(&self) -> Result<Vec<QuotaUse>, StoreError> {
        self.read(|connection| credentials::quota_uses(connection))
    }

    fn credentials(&self, filter: &CredentialFilter) -> Result<Vec<ListedCredential>, StoreError> {
        let filter = filter.clone();
        self.read(move |connection| inventory::credentials(connection, &filter))
    }

    fn credential_page(&self, page: &CredentialPage) -> Result<Vec<ListedCredential>, StoreError> {
        let page = page.clone();
        self.read(move |connection| page::credentials(connection, &page))
    }

    fn named(&self, shares: &[Share]) -> Result<Vec<Named>, StoreError> {
        let shares = shares.to_vec();
        self.read(move |connection| page::named(connection, &shares))
    }

    fn owned(&self, users: &[UserId]) -> Result<HashMap<UserId, Owned>, StoreError> {
        let users = users.to_vec();
        self.read(move |connection| page::owned(connection, &users))
    }

    fn credential(&self, id: &CredentialId) -> Result<CredentialHistory, StoreError> {
        let id = id.clone();
        self.read(move |connection| inventory::credential(connection, &id))
    }

    fn add_caller(&self, caller: &Caller, at: i64) -> Result<Receipt, StoreError> {
        let caller = caller.clone();
        self.write(move |transaction| callers::add(transaction, &caller, at))
    }

    fn rotate_caller(
        &self,
        id: &CallerId,
        token_digest: [u8; 32],
        overlap_until: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| callers::rotate(transaction, &id, token_digest, overlap_until, at))
    }

    fn edit_caller(&self, id: &CallerId, edit: &CallerEdit, at: i64) -> Result<Receipt, StoreError> {
        let (id, edit) = (id.clone(), edit.clone());
        self.write(move |transaction| callers::edit(transaction, &id, &edit, at))
    }

    fn delete_caller(&self, id: &CallerId, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| callers::delete(transaction, &id, at))
    }

    fn callers(&self) -> Result<Vec<ListedCaller>, StoreError> {
        self.read(|connection| callers::list(connection))
    }

    fn add_run(&self, run: &RunToken, at: i64) -> Result<Receipt, StoreError> {
        let run = run.clone();
        self.write(move |transaction| runs::add(transaction, &run, at))
    }

    fn extend_run(&self, digest: &[u8; 32], expires_at: i64) -> Result<(), StoreError> {
        let digest = *digest;
        self.write(move |transaction| runs::extend(transaction, &digest, expires_at))
    }

    fn end_run(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        let digest = *digest;
        self.write(move |transaction| runs::end(transaction, &digest))
    }

    fn note_callers_used(&self, seen: &[(CallerId, i64)]) -> Result<(), StoreError> {
        let seen = seen.to_vec();
        self.write_unannounced(move |transaction| callers::note_used(transaction, &seen))
    }

    fn add_user(&self, user: &User, at: i64) -> Result<Receipt, StoreError> {
        let user = user.clone();
        self.write(move |transaction| people::add_user(transaction, &user, at))
    }

    fn set_role(&self, id: &UserId, role: Role, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| people::set_role(transaction, &id, role, at))
    }

    fn delete_user(&self, id: &UserId, inheritance: Option<&Inheritance>, at: i64) -> Result<Receipt, StoreError> {
        let (id, inheritance) = (id.clone(), inheritance.cloned());
        self.write(move |transaction| people::delete_user(transaction, &id, inheritance.as_ref(), at))
    }

    fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let id = id.clone();
        self.read(move |connection| people::user(&*connection.transaction()?, &id))
    }

    fn users(&self) -> Result<Vec<ListedUser>, StoreError> {
        self.read(|connection| people::users(&*connection.transaction()?))
    }

    fn add_team(&self, team: &Team, at: i64) -> Result<Receipt, StoreError> {
        let team = team.clone();
        self.write(move |transaction| people::add_team(transaction, &team, at))
    }

    fn delete_team(&self, id: &TeamId, at: i64) -> Result<Receipt, StoreError> {
        let id = id.clone();
        self.write(move |transaction| people::delete_team(transaction, &id, at))
    }

    fn add_member(&self, team: &TeamId, user: &UserId, at: i64) -> Result<Receipt, StoreError> {
        let (team, user) = (team.clone(), user.clone());
        self.write(move |transaction| people::add_member(transaction, &team, &user, at))
    }

    fn remove_member(&self, team: &TeamId, user: &UserId, at: i64) -> Result<Receipt, StoreError> {
        let (team, user) = (team.clone(), user.clone());
        self.write(move |transaction| people::remove_member(transaction, &team, &user, at))
    }

    fn teams(&self) -> Result<Vec<ListedTeam>, StoreError> {
        self.read(|connection| people::teams(&*connection.transaction()?))
    }

    fn add_service(&self, service: &StoredService, at: i64) -> Result<Receipt, StoreError> {
        let service = service.clone();
        self.write(move |transaction| services::add(transaction, &service, at))
    }

    fn change_service(&self, service: &StoredService, at: i64) -> Result<Receipt, StoreError> {
        let service = service.clone();
        self.write(move |transaction| services::change(transaction, &service, at))
    }

    fn delete_service(&self, name: &ServiceName, in_use: InUse, at: i64) -> Result<Receipt, StoreError> {
        let name = name.clone();
        self.write(move |transaction| services::delete(transaction, &name, in_use, at))
    }

    fn services(&self) -> Result<Vec<StoredService>, StoreError> {
        self.read(|connection| services::services(connection))
    }

    fn add_authority(&self, authority: &StoredAuthority, after: Option<&[u8; 32]>) -> Result<Receipt, StoreError> {
        let (authority, after) = (authority.clone(), after.copied());
        self.write(move |transaction| authorities::add(transaction, &authority, after.as_ref()))
    }

    fn hasten_authority(&self, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError> {
        let fingerprint = *fingerprint;
        self.write(move |transaction| authorities::hasten(transaction, &fingerprint, at))
    }

    fn retire_authority(&self, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError> {
        let fingerprint = *fingerprint;
        self.write(move |transaction| authorities::retire(transaction, &fingerprint, at))
    }

    fn authorities(&self) -> Result<Vec<StoredAuthority>, StoreError> {
        self.read(|connection| authorities::all(connection))
    }

    fn add_pass(&self, pass: &Pass) -> Result<Receipt, StoreError> {
        let pass = pass.clone();
        self.write_unannounced(move |transaction| passes::add(transaction, &pass))
    }

    fn redeem_code(&self, code: &[u8; 32], session: &Pass) -> Result<Receipt, StoreError> {
        let (code, session) = (*code, session.clone());
        self.write_unannounced(move |transaction| passes::redeem(transaction, code, session))
    }

    fn end_pass(&self, id: &str, at: i64) -> Result<Receipt, StoreError> {
        let id = id.to_owned();
        self.write_unannounced(move |transaction| passes::end(transaction, &id, at))
    }

    fn passes(&self, at: i64) -> Result<Vec<Pass>, StoreError> {
        self.read(move |connection| passes::list(connection, at))
    }

    fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.read(move |connection| place::copy(connection, &path))
    }

    fn take_over(&self, takeover: &Takeover, at: i64) -> Result<Receipt, StoreError> {
        let (path, takeover, deed) = (self.path.clone(), takeover.clone(), self.deed.clone());
        self.read(move |connection| takeover::replace(connection, &path, deed.as_deref(), &takeover, at))
    }

    fn check_integrity(&self) -> Result<(), StoreError> {
        self.read(|connection| master::check_integrity(connection))
    }
}
