//! Which buckets a request may belong to, by what is known of it beforehand.

use crate::domain::{HeaderFamily, RouteBucket, Rule, Signals};
use crate::throttle::Family;

use super::super::owner::Route;
use super::{is_declared, may_belong};

#[test]
fn a_declared_bucket_is_the_only_one_and_of_named_ones_any_may_be() {
    let search = RouteBucket { name: "search".into(), routes: vec![Rule::parse("GET /search").unwrap()] };
    let unknown = Family::default();
    let by_path = Family::new(&Signals { by_path: true, ..Signals::default() });
    let declared =
        Family::new(&Signals { family: Some(HeaderFamily::GitHub), buckets: vec![search], ..Signals::default() });
    let named = Family::new(&Signals { family: Some(HeaderFamily::GitHub), ..Signals::default() });
    let major = Family::new(&Signals { family: Some(HeaderFamily::Discord), ..Signals::default() });
    let (one, other, shape) = ("/things/83217712345", "/things/99217712345", "/things/{…}");
    for (what, family, path, exact, shown, expected) in [
        ("nothing is known", &unknown, "/search", Some("search"), "search", false),
        ("its path", &by_path, one, Some(one), shape, true),
        ("another path of its shape", &by_path, one, Some(other), shape, false),
        ("a pin on its shape", &by_path, one, None, shape, true),
        ("a pin on another shape", &by_path, one, None, "/parts/{…}", false),
        ("as declared", &declared, "/search", Some("search"), "search", true),
        ("declared otherwise", &declared, "/search", Some("core"), "core", false),
        ("declared for others", &declared, "/core", Some("search"), "search", false),
        ("named by answers", &declared, "/core", Some("core"), "core", true),
        ("named by answers, and pinned", &named, "/core", None, "core", true),
        ("of its channel", &major, "/channels/11/messages", Some("abc-11"), "abc-11", true),
        ("of its channel alone", &major, "/channels/11/messages", Some("11"), "11", true),
        ("of another channel", &major, "/channels/11/messages", Some("abc-211"), "abc-211", false),
        ("of another route", &named, "/core", Some("route-0000000000000000"), "route-0000000000000000", false),
    ] {
        assert_eq!(may_belong(family, ("GET", path), exact, shown), expected, "{what}");
    }
    let own = Route::of(&named, "GET", "/core").own().unwrap();
    assert!(may_belong(&named, ("GET", "/core"), Some(own.as_str()), own.as_str()));
    assert!(is_declared(&by_path, "GET", one) && is_declared(&unknown, "GET", one) && !is_declared(&named, "GET", one));
}
