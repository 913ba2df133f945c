//! What may be sent once more: the whole table, and each of its exceptions.

use http::Method;

use super::*;

const ASKED: Asked = Asked { repeats: Repeats::Unknown, client: Client::Leaves, throttle_safe: true, upgrades: false };

#[test]
fn what_may_be_sent_again_follows_from_what_became_of_it_and_what_it_is() {
    use Class::{Auth, Exhausted, Fine, Overloaded, Throttled, Transient};
    // For a request that may be carried out twice, and for one of which nobody says so.
    for (cause, safely, unknown) in [
        (Cause::Unsent, true, true),
        (Cause::Broken, true, false),
        (Cause::Answered(Throttled), true, true),
        (Cause::Answered(Overloaded), true, false),
        (Cause::Answered(Transient), true, false),
        (Cause::Answered(Exhausted), false, false),
        (Cause::Answered(Auth), false, false),
        (Cause::Answered(Fine), false, false),
    ] {
        for (repeats, may) in [(Repeats::Safely, safely), (Repeats::Unknown, unknown)] {
            let asked = Asked { repeats, ..ASKED };
            assert_eq!(may_resend(&asked, cause, false), may, "{cause:?} {repeats:?}");
            // A veto is an answer's, and counts for whatever was answered.
            let unsent = cause == Cause::Unsent;
            assert_eq!(may_resend(&asked, cause, true), unsent, "{cause:?} {repeats:?}");
            for (client, may) in [(Client::Declines, false), (Client::Repeats, unsent)] {
                assert_eq!(may_resend(&Asked { client, ..asked }, cause, false), may, "{cause:?} {client:?}");
            }
            assert_eq!(may_resend(&Asked { upgrades: true, ..asked }, cause, false), unsent, "{cause:?}");
        }
    }
    let careful = Asked { throttle_safe: false, ..ASKED };
    assert!(!may_resend(&careful, Cause::Answered(Throttled), false));
    assert!(may_resend(&Asked { repeats: Repeats::Safely, ..careful }, Cause::Answered(Throttled), false));
}

#[test]
fn methods_repeat_safely_or_not() {
    for (method, known, repeats) in [
        (Method::GET, false, Repeats::Safely),
        (Method::HEAD, false, Repeats::Safely),
        (Method::OPTIONS, false, Repeats::Safely),
        (Method::TRACE, false, Repeats::Safely),
        (Method::PUT, false, Repeats::Safely),
        (Method::DELETE, false, Repeats::Safely),
        (Method::POST, false, Repeats::Unknown),
        (Method::PATCH, false, Repeats::Unknown),
        (Method::POST, true, Repeats::Safely),
        (Method::PATCH, true, Repeats::Safely),
    ] {
        assert_eq!(Repeats::of(&method, known), repeats, "{method} {known}");
    }
}

#[test]
fn clients_that_see_to_it_themselves_are_known() {
    for (lines, client) in [
        ("", Client::Leaves),
        ("sidekey-retry: off", Client::Declines),
        ("Sidekey-Retry: OFF", Client::Declines),
        ("sidekey-retry: on", Client::Leaves),
        ("x-no-retry: 1", Client::Declines),
        ("x-no-retry:", Client::Declines),
        ("x-no-retry: false", Client::Leaves),
        ("x-stainless-retry-count: 0", Client::Leaves),
        ("x-stainless-retry-count: 1", Client::Repeats),
        ("x-retry-attempt: 0", Client::Leaves),
        ("x-retry-attempt: 2", Client::Repeats),
        ("amz-sdk-request: attempt=1; max=3", Client::Leaves),
        ("amz-sdk-request: ttl=20260301T100000Z; attempt=2; max=3", Client::Repeats),
        ("x-stainless-retry-count: many", Client::Leaves),
        ("x-stainless-retry-count: 1\nsidekey-retry: off", Client::Declines),
    ] {
        assert_eq!(Client::of(&headers(lines)), client, "{lines}");
    }
}

#[test]
fn answers_that_forbid_another_attempt_are_known() {
    for (lines, vetoed) in [
        ("", false),
        ("x-should-retry: false", true),
        ("stripe-should-retry: false", true),
        ("x-should-retry: true", false),
        ("grpc-retry-pushback-ms: 100", false),
        ("grpc-retry-pushback-ms: 0", false),
        ("grpc-retry-pushback-ms: -1", true),
        ("grpc-retry-pushback-ms: soon", true),
    ] {
        assert_eq!(is_vetoed(&headers(lines)), vetoed, "{lines}");
    }
}
