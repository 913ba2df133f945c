//! `[events]`: what it takes, what it refuses, and that a webhook's URL is shown to nobody.

use super::*;
use crate::domain::{EventKind, Scheme};

fn webhook(text: &str) -> Webhook {
    good(&format!("[events]\n{text}")).webhook.unwrap()
}

#[test]
fn a_webhook_is_told_everything_unless_it_says_what() {
    assert_eq!(good("[events]").webhook, None);
    let hook = webhook("webhook = \"https://Hooks.Example.com/a/b?c=d\"");
    assert_eq!(
        (hook.origin.scheme, hook.origin.host.as_str(), hook.origin.port),
        (Scheme::Https, "hooks.example.com", 443)
    );
    assert_eq!((hook.target.as_str(), hook.kinds.as_slice()), ("/a/b?c=d", &EventKind::ALL[..]));
    assert_eq!((hook.secret, hook.allow_private), (None, false));
    let hook = webhook(
        "webhook = \"http://127.0.0.1:9000\"\nallow_private = true\nkinds = [\"auth_failures\", \"key_expired\"]
        secret = { file = \"hook.secret\" }",
    );
    assert_eq!((hook.target.as_str(), hook.origin.port), ("/", 9000));
    assert_eq!(hook.kinds, [EventKind::AuthFailures, EventKind::KeyExpired]);
    assert_eq!(hook.secret, Some(ValueSource::File("/srv/app/hook.secret".into())));
    let config = good("[events]\nwebhook = \"https://a.example\"\nsecret = { file = \"hook.secret\" }");
    assert_eq!(config.watched_files(), [Path::new("/srv/app/hook.secret")]);
    let hook = webhook("webhook = \"https://a.example\"\nsecret = { env = \"CANARY\" }");
    assert_eq!(hook.secret, Some(ValueSource::Env("CANARY".to_owned())));
}

#[test]
fn every_kind_can_be_named() {
    for kind in EventKind::ALL {
        let hook = webhook(&format!("webhook = \"https://a.example\"\nkinds = [\"{}\"]", kind.as_str()));
        assert_eq!(hook.kinds, [kind]);
        assert_eq!(
            (EventKind::of(kind.as_str()), kind.act()),
            (Some(kind), format!("event.{}", kind.as_str()).as_str())
        );
    }
}

#[test]
fn a_webhook_that_cannot_be_called_is_refused_with_its_place() {
    let hook = "webhook = \"https://a.example\"";
    for (text, line, key) in [
        ("webhook = \"hooks.example.com\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"ftp://hooks.example.com/\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"https://\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"https://a.example:99999/\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"https://user:pass@a.example/\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"http://hooks.example.com/\"".to_owned(), 2, "events.webhook"),
        ("webhook = \"http://10.0.0.7/\"".to_owned(), 2, "events.webhook"),
        ("webhook = 7".to_owned(), 2, "events.webhook"),
        ("webhook = 7\nkinds = [\"key_expired\"]".to_owned(), 2, "events.webhook"),
        (format!("{hook}\nkinds = []"), 3, "events.kinds"),
        (format!("{hook}\nkinds = [\"auth_failure\"]"), 3, "events.kinds[0]"),
        ("kinds = [\"auth_failures\"]".to_owned(), 2, "events.kinds"),
        ("secret = { env = \"CANARY\" }".to_owned(), 2, "events.secret"),
        (format!("{hook}\nsecret = {{}}"), 3, "events.secret"),
        (format!("{hook}\nsecret = {{ env = \"$CANARY\" }}"), 3, "events.secret.env"),
        (format!("{hook}\nsecret = \"s3cret\""), 3, "events.secret"),
    ] {
        one(&format!("[events]\n{text}"), line, key);
    }
    let both = bad(&format!("[events]\n{hook}\nsecret = {{ env = \"A\", file = \"b\" }}"));
    assert_eq!(both, [(3, "events.secret.file".to_owned())]);
}

#[test]
fn a_webhooks_url_is_not_printed() {
    let config = good("[events]\nwebhook = \"https://a.example/${CANARY}\"");
    let hook = config.webhook.unwrap();
    assert_eq!(hook.target, "/canary-9f2c");
    assert!(!format!("{hook:?}").contains("canary"));
    assert!(!rendered("[events]\nwebhook = \"ftp://a.example/${CANARY}\"").contains("canary"));
}
