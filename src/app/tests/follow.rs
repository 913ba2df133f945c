//! A snapshot that was amended is the one that would have been built anew, and shares what did not change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::Sightings;
use crate::app::tables::{Beside, amended, tables};
use crate::config::{Config, Environment};
use crate::domain::{
    Clock as _, Environment as Label, Fields, Name, Perimeter, Role, Secret, Share, SystemClock, Timeouts,
    UpstreamOptions, Weight,
};
use crate::gate::Gates;
use crate::keys::MasterKeySource;
use crate::metrics::Metrics;
use crate::pipeline::{Held, Snapshot};
use crate::store::{CredentialEdit, LOCAL, Sqlite};
use crate::upstream::{Approach, TlsConfigs};
use crate::vault::{NewCredential, Vault};

const SERVICES: &str = r#"
[service.billing]
base_url = "https://billing.example.com"
auth = { location = "bearer" }
[service.tenant]
base_url = "https://{tenant}.example.org"
hosts = ["{tenant}.example.org"]
vars = { tenant = {} }
auth = { location = "bearer" }
"#;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn value(text: &str) -> Fields {
    Fields::new(vec![(name(Fields::SINGLE), Secret::new(text.as_bytes().to_vec()))])
}

/// Everything that a request could find.
fn whole(view: &Snapshot) -> BTreeSet<String> {
    let key = |held: &Arc<Held>| {
        let (credential, former) = (&held.credential, held.former.as_ref().map(|f| f.held.credential.version));
        let sealed = credential.sealed.as_ref().map(|sealed| sealed.wrapped_key.clone());
        format!("{credential:?} {sealed:?} {former:?} {:?}", held.outlet.destination.origin())
    };
    let hosts = ["acme.example.org", "other.example.org", "billing.example.com"];
    let claimed = hosts.iter().filter(|host| view.routes.claims(&crate::domain::Host::new(host).unwrap(), None));
    let callers = ["local", "etl"].map(|name| format!("{:?}", view.callers.named(name).map(|known| &known.caller)));
    view.credentials.all().map(key).chain(claimed.map(ToString::to_string)).chain(callers).collect()
}

#[test]
fn an_amended_snapshot_is_the_one_that_would_be_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("proxy.toml"), SERVICES).unwrap();
    let environment = Environment::of_pairs([]).in_folder(folder.path());
    let config = Config::load(None, &environment).unwrap_or_else(|errors| panic!("{}", errors.render(false))).config;
    let store = Arc::new(Sqlite::open(&config.store).unwrap());
    let source = MasterKeySource::File(folder.path().join("data/master.key"));
    let vault = Vault::open(store, &source, Arc::new(SystemClock)).unwrap();
    let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
    let approach = Approach::new(&UpstreamOptions::default(), Timeouts::default().connect, &nobody).unwrap();
    let (gates, sightings, metrics) = (Gates::default(), Sightings::default(), Metrics::new(1, SystemClock.wall()));
    let beside = Beside { gates: &gates, sightings: &sightings, metrics: &metrics };
    let anew = || {
        let inventory = vault.inventory().unwrap();
        let counter = inventory.change_counter;
        (tables(&config, inventory, Vec::new(), |_| Ok(approach.clone()), &beside).unwrap().0, counter)
    };
    let local = crate::domain::UserId::new(LOCAL);
    let add = |called: &str, service: &str, tenant: Option<&str>| {
        let variables: BTreeMap<_, _> = tenant.map(|text| (name("tenant"), text.to_owned())).into_iter().collect();
        let (owner, environment) = (local.clone(), None::<Label>);
        let (name, service) = (name(called), name(service));
        let (expires, shares, rotate_every) = (None, Vec::new(), None);
        let new = NewCredential {
            name,
            owner,
            service,
            environment,
            variables,
            expires,
            shares,
            rotate_every,
            limit_owner: None,
            pool: None,
        };
        vault.add(new, &value(called)).unwrap().0.id
    };
    let (steady, changing) = (add("steady", "billing", None), add("changing", "billing", None));
    let (mut view, mut seen) = anew();
    let ada = vault.add_user(&name("ada"), Role::Member).unwrap().0.id;
    let steps: [&dyn Fn(); 10] = [
        &|| drop(vault.rotate_overlapping(&changing, &value("two"), Some(i64::MAX)).unwrap()),
        &|| drop(add("tenants", "tenant", Some("acme"))),
        &|| drop(vault.share(&changing, &Share::User(ada.clone()).into()).unwrap()),
        &|| drop(vault.add_caller(&name("etl"), &ada, None, Perimeter::default(), Weight::ONE).unwrap()),
        &|| drop(add("lost", "no-such-service", None)),
        &|| drop(vault.rollback(&changing).unwrap()),
        &|| drop(vault.edit(&changing, &CredentialEdit { name: Some(name("new")), ..Default::default() }).unwrap()),
        &|| drop(vault.delete_user(&ada, Some(&local)).unwrap()),
        &|| drop(vault.delete(&changing).unwrap()),
        &|| drop(vault.restore(&changing).unwrap()),
    ];
    let of = |view: &Snapshot, id| view.credentials.all().find(|held| held.credential.id == id).cloned().unwrap();
    for (number, step) in steps.iter().enumerate() {
        step();
        let changes = vault.changes_since(seen).unwrap();
        let counter = changes.inventory.change_counter;
        let next = amended(&view, &config, changes, &beside).0;
        let (expected, now) = anew();
        assert_eq!((whole(&next), counter), (whole(&expected), now), "step {number}");
        assert!(
            Arc::ptr_eq(&of(&view, steady.clone()), &of(&next, steady.clone())),
            "step {number}: nothing is shared"
        );
        (view, seen) = (next, counter);
    }
    assert_eq!(view.credentials.count(), 3);
}
