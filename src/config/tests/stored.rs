//! The services of the store between the catalogue and the file.

use crate::domain::Name;
use crate::record::ServiceRecord;
use crate::store::StoredService;

use super::super::stored::{BuiltIn, laid};
use super::{Catalogue, WhyLeftOut, catalogue, good};
use crate::config::{Config, LeftOut};

fn stored(name: &str, record: &str) -> StoredService {
    StoredService {
        name: Name::new(name).unwrap(),
        record: record.to_owned(),
        proof: None,
        revision: 1,
        created_at: 1,
        updated_at: 1,
    }
}

fn with(config: &Config, all: &[StoredService]) -> (Config, Vec<LeftOut>) {
    laid(config, all, &[], &catalogue())
}

impl BuiltIn for Catalogue {
    fn names(&self) -> Vec<Name> {
        self.keys().cloned().collect()
    }

    fn record(&self, name: &Name) -> Option<ServiceRecord> {
        self.get(name).cloned()
    }
}

fn names(config: &Config) -> Vec<&str> {
    config.services.iter().map(|entry| entry.service.name.as_str()).collect()
}

#[test]
fn a_stored_service_stands_among_the_others_and_leaves_with_its_record() {
    let file = good("");
    let billing = stored("billing", "base_url = \"https://billing.example.com\"\nauth = { location = \"bearer\" }");
    let (config, left_out) = with(&file, &[billing]);
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(names(&config), ["billing", "shop", "stripe", "twilio"]);
    let service = &config.service("billing").unwrap().service;
    assert!(service.stored && !service.built_in && !service.declared);
    assert_eq!(names(&with(&config, &[]).0), names(&file));
}

#[test]
fn a_stored_record_is_laid_over_a_built_in_one_and_taken_off_again() {
    let file = good("");
    let (config, left_out) = with(
        &file,
        &[stored("stripe", "rate.limit = \"5/s\""), stored("gitforge", "base_url = \"https://git.example.com\"")],
    );
    assert!(left_out.is_empty(), "{left_out:?}");
    let stripe = &config.service("stripe").unwrap().service;
    assert!(stripe.stored && stripe.built_in && stripe.limits.rate.is_some());
    assert_eq!(stripe.auth.len(), 1, "what the record does not name stays as it is");
    assert!(config.service("gitforge").is_some(), "a built-in service that waits for its address");
    let (back, _) = with(&config, &[]);
    assert!(back.service("gitforge").is_none());
    let stripe = &back.service("stripe").unwrap().service;
    assert!(!stripe.stored && stripe.built_in && stripe.limits.rate.is_none());
}

#[test]
fn the_file_counts_before_the_store() {
    let file = good("[service.stripe]\nrate.limit = \"7/s\"\n[service.billing]\nbase_url = \"https://a.example.com\"");
    let (config, left_out) =
        with(&file, &[stored("stripe", "allow = []"), stored("billing", "base_url = \"https://evil.example.com\"")]);
    assert_eq!(left_out.len(), 2);
    assert!(left_out.iter().all(|left| matches!(left.why, WhyLeftOut::Declared(_))), "{left_out:?}");
    assert_eq!(config.service("billing").unwrap().service.base.host.literal().as_deref(), Some("a.example.com"));
    assert_eq!(config.service("stripe").unwrap().service.allowed.rules, None);
}

#[test]
fn a_declared_key_is_not_sent_elsewhere_by_a_stored_record() {
    let file = good("[credential.pay]\nservice = \"stripe\"\nenv = \"CANARY\"");
    for record in [
        "base_url = \"https://evil.example.com\"",
        "hosts = [\"api.stripe.com\", \"evil.example.com\"]",
        "auth = { location = \"query\", name = \"key\" }",
        "upstream.connect_to = \"10.0.0.1:443\"",
    ] {
        let (config, left_out) = with(&file, &[stored("stripe", record)]);
        assert!(matches!(left_out[0].why, WhyLeftOut::Pinned), "{record}: {left_out:?}");
        assert!(!config.service("stripe").unwrap().service.stored);
    }
    let (config, left_out) = with(&file, &[stored("stripe", "rate.limit = \"5/s\"")]);
    assert!(left_out.is_empty() && config.service("stripe").unwrap().service.stored);
}

#[test]
fn what_this_version_cannot_read_or_compile_is_left_out_and_everything_else_works() {
    let all = [
        stored("newer", "base_url = \"https://a.example.com\"\nquantum = true"),
        stored("broken", "base_url = "),
        stored("wrong", "base_url = \"ftp://a.example.com\""),
        stored("homeless", "title = \"no address\""),
        stored("billing", "base_url = \"https://billing.example.com\""),
    ];
    let (config, left_out) = with(&good(""), &all);
    let why: Vec<String> = left_out.iter().map(|left| format!("{}: {}", left.name, left.why)).collect();
    assert_eq!(left_out.len(), 4, "{why:#?}");
    assert!(
        why[0].starts_with("newer: ") && why[0].contains("quantum") && why[0].contains("kept as it is"),
        "{why:#?}"
    );
    assert!(matches!(left_out[2].why, WhyLeftOut::Invalid(_)));
    assert!(config.service("billing").is_some());
}

#[test]
fn what_cannot_be_used_gives_its_keys_to_no_built_in_service_of_its_name() {
    let file = good("[service.shop]\nallow = []");
    for record in ["quantum = true", "base_url = \"ftp://a.example.com\""] {
        let (config, _) = with(&file, &[stored("stripe", record), stored("shop", record)]);
        assert!(config.service("stripe").is_none(), "{record}");
        assert!(config.service("shop").is_some(), "the file counts anyway");
        let (mended, _) = with(&config, &[stored("stripe", "allow = []")]);
        assert!(mended.service("stripe").unwrap().service.stored);
        assert_eq!(names(&with(&config, &[]).0), names(&file));
    }
    let (config, _) = laid(&file, &[], &[Name::new("twilio").unwrap()], &catalogue());
    assert!(config.service("twilio").is_none(), "withheld");
}
