//! Services in the store: who may change them, what is told, and what becomes of the keys that exist.

use super::{CANARY, House, by_name, code, name};
use crate::domain::{Fields, Secret};
use crate::operations::{Actor, Consent, ErrorCode, NewKey, OperationError};
use crate::record::{ServiceRecord, from_toml};

fn record(text: &str) -> ServiceRecord {
    from_toml(text).unwrap()
}

fn billing() -> ServiceRecord {
    record("base_url = \"https://billing.example.com\"\nauth = { location = \"header\", name = \"X-API-Key\" }")
}

impl House {
    fn add_service(&self, called: &str, record: &ServiceRecord) -> Result<Vec<String>, OperationError> {
        let change = self.operations.add_service(&self.operator, &name(called), record, Consent::Absent)?;
        Ok(change.tells)
    }

    fn edit_service(
        &self,
        called: &str,
        record: &ServiceRecord,
        consent: Consent,
    ) -> Result<Vec<String>, OperationError> {
        let revision = self.operations.kept_record(&name(called))?.unwrap().revision;
        let change = self.operations.change_service(&self.operator, &name(called), revision, record, consent)?;
        Ok(change.concerned.iter().map(ToString::to_string).collect())
    }
}

#[test]
fn a_service_is_added_changed_and_deleted_and_keys_can_be_added_at_once() {
    let house = House::new("");
    assert!(house.add_service("billing", &billing()).unwrap().is_empty());
    assert!(house.operations.service(&name("billing")).unwrap().stored);
    assert_eq!(code(house.add_service("billing", &billing())), ErrorCode::NameTaken);
    let key = house.key(&house.operator, "billing", "main").unwrap();
    assert_eq!(key.service, name("billing"));
    let narrow = ServiceRecord { allow: Some(vec!["GET /**".into()]), ..billing() };
    assert!(house.edit_service("billing", &narrow, Consent::Absent).unwrap().is_empty(), "no key goes elsewhere");
    assert_eq!(house.operations.kept_record(&name("billing")).unwrap().unwrap().record, narrow);
    let refused = house.operations.delete_service(&house.operator, &name("billing"), Consent::Absent).unwrap_err();
    assert!(refused.to_string().contains("in use by main") && refused.code() == ErrorCode::Conflict, "{refused}");
    house.operations.delete_key(&house.operator, &by_name("main")).unwrap();
    house.operations.delete_service(&house.operator, &name("billing"), Consent::Absent).unwrap();
    assert_eq!(code(house.operations.service(&name("billing"))), ErrorCode::NotFound);
    let acts = house.acts();
    let services: Vec<&str> = acts.iter().map(String::as_str).filter(|act| act.contains(" service.")).collect();
    assert_eq!(services, ["nina service.add billing", "nina service.edit billing", "nina service.delete billing"]);
}

#[test]
fn only_administrators_change_services() {
    let house = House::new("");
    let ada = Actor::Member(house.user("ada"));
    let operations = &house.operations;
    assert_eq!(code(operations.add_service(&ada, &name("billing"), &billing(), Consent::Given)), ErrorCode::Forbidden);
    assert_eq!(code(operations.weigh_service(&ada, &name("billing"), &billing())), ErrorCode::Forbidden);
    house.add_service("billing", &billing()).unwrap();
    let moved = record("base_url = \"https://evil.example.com\"");
    assert_eq!(
        code(operations.change_service(&ada, &name("billing"), 1, &moved, Consent::Given)),
        ErrorCode::Forbidden
    );
    assert_eq!(code(operations.delete_service(&ada, &name("billing"), Consent::Absent)), ErrorCode::Forbidden);
    assert_eq!(
        operations.service(&name("billing")).unwrap().base.host.literal().as_deref(),
        Some("billing.example.com")
    );
}

#[test]
fn a_change_that_concerns_keys_names_them_and_needs_consent() {
    let house = House::new("");
    house.add_service("billing", &billing()).unwrap();
    house.key(&house.operator, "billing", "main").unwrap();
    let table = [
        (
            ServiceRecord { base_url: Some("https://other.example.com".into()), ..billing() },
            "goes to other.example.com",
        ),
        (
            ServiceRecord { hosts: Some(vec!["billing.example.com".into(), "b.example.com".into()]), ..billing() },
            "goes to",
        ),
        (
            ServiceRecord { auth: record("auth = { location = \"query\", name = \"k\" }").auth, ..billing() },
            "query ?k=",
        ),
        (
            ServiceRecord {
                auth: record("auth = { location = \"basic\", username = \"{u}\", password = \"{p}\" }").auth,
                ..billing()
            },
            "has no value for `u`",
        ),
        (
            ServiceRecord {
                base_url: Some("https://{tenant}.example.com".into()),
                vars: record("vars = { tenant = {} }").vars,
                ..billing()
            },
            "could not be used",
        ),
    ];
    for (change, told) in table {
        let refused = house.edit_service("billing", &change, Consent::Absent).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Conflict);
        let text = refused.to_string();
        assert!(text.contains("main (of local): ") && text.contains(told), "{text}");
        assert!(!text.contains(CANARY));
    }
    let moved = ServiceRecord { base_url: Some("https://other.example.com".into()), ..billing() };
    assert_eq!(house.edit_service("billing", &moved, Consent::Given).unwrap().len(), 1);
}

#[test]
fn keys_of_a_built_in_service_are_not_moved_by_a_record_of_its_name_without_consent() {
    let house = House::new("");
    house.key(&house.operator, "stripe", "pay").unwrap();
    let evil = record("base_url = \"https://evil.example.com\"");
    let refused = house.add_service("stripe", &evil).unwrap_err();
    assert!(refused.to_string().contains("pay (of local): goes to evil.example.com"), "{refused}");
    let tells = house.add_service("stripe", &record("allow = [\"GET /**\"]")).unwrap();
    assert!(tells[0].contains("`stripe` is built in"), "{tells:?}");
    let refused = house.operations.delete_service(&house.operator, &name("stripe"), Consent::Absent).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Conflict);
    assert_eq!(
        code(house.operations.delete_service(&house.operator, &name("github"), Consent::Absent)),
        ErrorCode::Conflict
    );
}

#[test]
fn what_is_overridden_or_shadowed_is_told() {
    let house = House::new("[service.own]\nbase_url = \"https://own.example.com\"\n");
    let claims = |hosts: &str| record(&format!("base_url = \"https://a.example.com\"\nhosts = [{hosts}]"));
    let tells = house.add_service("mine", &claims("\"api.stripe.com\", \"own.example.com\"")).unwrap().join("\n");
    assert!(tells.contains("api.stripe.com was the built-in `stripe`"), "{tells}");
    assert!(tells.contains("`own` in proxy.toml keeps own.example.com"), "{tells}");
    let tells = house.add_service("also", &claims("\"api.stripe.com\"")).unwrap().join("\n");
    assert!(tells.contains("`mine` has api.stripe.com too"), "{tells}");
    let below = record("base_url = \"https://own.example.com\"\npaths = [\"/v2\"]");
    assert!(house.add_service("part", &below).unwrap().is_empty(), "a longer path takes nothing away");
}

#[test]
fn what_cannot_be_used_is_not_stored() {
    let house = House::new(
        "[service.own]\nbase_url = \"https://own.example.com\"\n[credential.pay]\nservice = \"stripe\"\nenv = \"X\"\n",
    );
    let refused = |called: &str, text: &str, part: &str| {
        let error = house.add_service(called, &record(text)).unwrap_err();
        assert!(error.to_string().contains(part), "{called}: {error}");
    };
    refused("own", "base_url = \"https://x.example.com\"", "stands as [service.own] in the configuration");
    refused("billing", "title = \"x\"", "`base_url`: the address of the service is missing");
    refused("billing", "base_url = \"http://billing.example.com\"", "plain HTTP");
    refused("stripe", "base_url = \"https://x.example.com\"", "declares a key");
    let ca = "base_url = \"https://x.example.com\"\nupstream.ca = ";
    refused("billing", &format!("{ca}\"certs/x.pem\""), "whole path");
    refused("billing", &format!("{ca}\"/nowhere/x.pem\""), "/nowhere/x.pem");
    assert!(house.operations.vault.services().unwrap().genuine.is_empty());
}

#[test]
fn an_edit_does_not_undo_what_somebody_else_changed_meanwhile() {
    let house = House::new("");
    house.add_service("billing", &billing()).unwrap();
    let title = |text: &str| ServiceRecord { title: Some(text.into()), ..billing() };
    let (operations, operator, billing) = (&house.operations, &house.operator, name("billing"));
    operations.change_service(operator, &billing, 1, &title("first"), Consent::Absent).unwrap();
    let late = operations.change_service(operator, &billing, 1, &title("second"), Consent::Absent);
    assert_eq!(code(late), ErrorCode::Conflict);
    assert_eq!(operations.service(&billing).unwrap().title, "first");
}

#[test]
fn a_record_of_another_version_is_kept_and_can_only_be_deleted() {
    let house = House::new("");
    house.operations.vault.add_service(&name("newer"), "base_url = \"https://a.example.com\"\nquantum = true").unwrap();
    assert_eq!(code(house.operations.kept_record(&name("newer"))), ErrorCode::Invalid);
    assert_eq!(code(house.add_service("newer", &billing())), ErrorCode::NameTaken);
    house.operations.delete_service(&house.operator, &name("newer"), Consent::Absent).unwrap();
}

#[test]
fn a_key_with_several_fields_fits_the_service_that_names_them() {
    let house = House::new("");
    let two = record(
        "base_url = \"https://a.example.com\"\nauth = { location = \"basic\", username = \"{u}\", password = \"{p}\" }",
    );
    house.add_service("login", &two).unwrap();
    let new = NewKey { service: name("login"), name: None, owner: None, environment: None, expires: None };
    let draft = house.operations.draft_key(&house.operator, new).unwrap();
    let secret = || Secret::new(CANARY.as_bytes().to_vec());
    let fields = Fields::new(vec![(name("u"), secret()), (name("p"), secret())]);
    house.operations.add_key(&house.operator, draft, &fields).unwrap();
    let one = ServiceRecord { auth: record("auth = { location = \"bearer\", value = \"{p}\" }").auth, ..two };
    let told = house.edit_service("login", &one, Consent::Given).unwrap();
    assert!(told[0].contains("goes to a.example.com in header Authorization"), "{told:?}");
}

#[test]
fn a_forged_record_is_not_used_and_can_only_be_deleted() {
    let house = House::new("");
    house.key(&house.operator, "stripe", "pay").unwrap();
    let store = rusqlite::Connection::open(house.folder.path().join("data/sidekey.db")).unwrap();
    let forged = "base_url = \"https://evil.example.com\"";
    store.execute("INSERT INTO services VALUES ('stripe', ?1, 1, 1, 1)", [forged]).unwrap();
    house.add_service("billing", &billing()).unwrap();
    assert_eq!(code(house.operations.service(&name("stripe"))), ErrorCode::NotFound, "no key goes anywhere by it");
    let error = house.operations.kept_record(&name("stripe")).unwrap_err();
    assert!(error.to_string().contains("not written by sidekey"), "{error}");
    let (operations, operator, stripe) = (&house.operations, &house.operator, name("stripe"));
    let told = operations.delete_service(operator, &stripe, Consent::Absent).unwrap_err().to_string();
    assert!(told.contains("pay (of local): goes to api.stripe.com"), "{told}");
    operations.delete_service(operator, &stripe, Consent::Given).unwrap();
    assert!(operations.service(&stripe).unwrap().built_in);
}
