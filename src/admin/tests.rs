//! What needs no process: where requests come from, pages under change, what is repeated of a body that cannot be read.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::origin::{Source, source};
use super::page::PageQuery;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

#[test]
fn a_page_of_the_same_origin_is_told_from_every_other() {
    let host = ("host", "localhost:8081");
    for (pairs, expected) in [
        (&[host][..], Source::Unsaid),
        (&[host, ("sec-fetch-site", "none")], Source::Unsaid),
        (&[host, ("sec-fetch-site", "same-origin")], Source::Own),
        (&[host, ("sec-fetch-site", "same-site")], Source::Foreign),
        (&[host, ("sec-fetch-site", "cross-site")], Source::Foreign),
        (&[host, ("sec-fetch-site", "something-new")], Source::Foreign),
        (&[host, ("origin", "http://localhost:8081")], Source::Own),
        (&[host, ("origin", "https://LOCALHOST:8081")], Source::Own),
        (&[host, ("origin", "http://localhost")], Source::Foreign),
        (&[host, ("origin", "http://127.0.0.1:8081")], Source::Foreign),
        (&[host, ("origin", "null")], Source::Foreign),
        (&[host, ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")], Source::Foreign),
        (&[("origin", "http://localhost:8081")], Source::Foreign),
    ] {
        assert_eq!(source(&headers(pairs)), expected, "{pairs:?}");
    }
}

proptest! {
    #[test]
    fn pages_show_everything_once_whatever_their_size(
        items in prop::collection::btree_set("[a-z]{1,6}", 0..60),
        limit in 1_u16..20,
    ) {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = PageQuery { limit: Some(limit), after };
            let page = query.cut(items.iter().cloned().collect(), String::clone).unwrap();
            prop_assert!(page.items.len() <= limit.into());
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        prop_assert_eq!(seen, items.into_iter().collect::<Vec<_>>());
    }
}
