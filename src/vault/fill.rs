//! Fills a real store for `scripts/scale`: keys that are sealed, callers, teams and custom services. Not a test of anything.

#![allow(clippy::disallowed_methods, reason = "what to fill is said by the script's environment")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::tests::{name, value};
use super::*;
use crate::domain::{
    Caller, CallerId, CredentialId, Perimeter, Role, ServiceName, Share, Shared, Source, SystemClock, Team, TeamId,
    User, UserId, Weight,
};
use crate::store::{Filling, Sqlite};

/// Services of the catalogue that want one value and no variable.
const BUILT_IN: [&str; 10] =
    ["stripe", "openai", "anthropic", "github", "cohere", "deepl", "asana", "attio", "brevo", "airtable"];
/// How many users, custom services and members of a team there are.
const USERS: usize = 2_000;
const CUSTOM: usize = 40;
const MEMBERS: usize = 10;

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
#[ignore = "run by scripts/scale, which says into which folder"]
fn a_store_for_scale() {
    let Some(folder) = std::env::var_os("SIDEKEY_SCALE_FOLDER").map(PathBuf::from) else { return };
    let store = Arc::new(Sqlite::open(&folder.join("sidekey.db")).unwrap());
    let source = MasterKeySource::File(folder.join("master.key"));
    let vault = Vault::open(Arc::<Sqlite>::clone(&store), &source, Arc::new(SystemClock)).unwrap();
    let custom: Vec<ServiceName> = (0..CUSTOM).map(|i| name(&format!("custom-{i:03}"))).collect();
    for service in &custom {
        let record = format!("base_url = \"https://{service}.example.com/v1\"\nauth = {{ location = \"bearer\" }}\n");
        vault.add_service(service, &record).unwrap();
    }
    let users: Vec<User> = (0..USERS)
        .map(|i| {
            let (id, name) = (UserId::new(&vault.fresh_id().unwrap()), name(&format!("user-{i:05}")));
            User { id, name, role: Role::Member, teams: Vec::new() }
        })
        .collect();
    let teams: Vec<Team> = (0..number("SIDEKEY_SCALE_TEAMS", 1_000))
        .map(|i| Team { id: TeamId::new(&vault.fresh_id().unwrap()), name: name(&format!("team-{i:05}")) })
        .collect();
    let of = |i: usize| users[i % users.len()].id.clone();
    let places = (0..teams.len()).flat_map(|team| (0..MEMBERS).map(move |member| (team, team * 7 + member * 131)));
    let members = places.map(|(team, user)| (teams[team].id.clone(), of(user))).collect();
    let callers: Vec<Caller> = (0..number("SIDEKEY_SCALE_CALLERS", 10_000))
        .map(|i| Caller {
            id: CallerId::new(&vault.fresh_id().unwrap()),
            name: name(&format!("caller-{i:06}")),
            owner: of(i),
            environment: i.is_multiple_of(3).then(|| name("prod")),
            token_digest: Some(Token::fresh().unwrap().digest()),
            former: None,
            perimeter: Perimeter::default(),
            weight: Weight::ONE,
        })
        .collect();
    let credential = |i: usize| {
        let service =
            if i.is_multiple_of(2) { name(BUILT_IN[i / 2 % BUILT_IN.len()]) } else { custom[i / 2 % CUSTOM].clone() };
        let with = match i % 4 {
            0 => Some(Share::Team(teams[i % teams.len()].id.clone())),
            1 => Some(Share::Caller(callers[i % callers.len()].id.clone())),
            _ => None,
        };
        let mut credential = Credential {
            limit_owner: None,
            pool: None,
            id: CredentialId::new(&vault.fresh_id().unwrap()),
            name: name(&format!("{service}-{i:06}")),
            owner: of(i * 31),
            service,
            environment: i.is_multiple_of(5).then(|| name("prod")),
            shares: with.map(Shared::from).into_iter().collect(),
            variables: BTreeMap::new(),
            expires: None,
            version: 1,
            sealed: None,
            source: Source::Store,
        };
        credential.sealed =
            Some(Arc::new(vault.seal_declared(&credential, &value("sk_test_not_a_real_key_0")).unwrap()));
        credential
    };
    let credentials: Vec<Credential> = (0..number("SIDEKEY_SCALE_KEYS", 100_000)).map(credential).collect();
    store.fill(Filling { users, teams, members, callers, credentials }, vault.now()).unwrap();
}
