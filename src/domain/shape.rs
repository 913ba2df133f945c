//! The shape of a path: what stays when the parts that differ from call to call are taken out. Numbers, dates, UUIDs,
//! identifiers and long tokens become `{…}`; words stay. It guesses from the characters alone, so that a name of somebody's
//! own choice stays, and it never sees a query.
//!
//! Runs for every call: one look at each byte, no allocation but the growth of `out`. Looking at eight bytes at once was
//! measured and is slower, since the parts of paths are short.

/// What stands for a part that differs.
const VARIABLE: &[u8] = "{…}".as_bytes();
/// What stands for the rest of a path that is too long.
const REST: &[u8] = "…".as_bytes();
/// The most bytes of a path that are looked at: what a shape costs at most is bounded with it. A part that lies across this
/// place is left out with all that follows, since nobody can tell by its begin what it is.
const PATH_LIMIT: usize = 128;
/// The most bytes of a shape, but for its last part.
const SHAPE_LIMIT: usize = 192;
/// The longest word; so short that no sum of one overflows.
const LONGEST: usize = 64;
/// From here on letters that look like dice are taken for a token.
const LONG: usize = 20;

/// What a byte is, as a number to add up: how many digits, capitals, small letters and strangers a part has, a byte each.
const DIGIT: u32 = 1;
const CAPITAL: u32 = 1 << 8;
const SMALL: u32 = 1 << 16;
const STRANGER: u32 = 1 << 24;
/// Ends a part; never added up.
const END: u32 = u32::MAX;
/// What is left of a sum beside its small letters.
const NOT_SMALL: u32 = !(0xff << 16);

#[allow(clippy::indexing_slicing, reason = "at compile time")]
static KINDS: [u32; 256] = {
    let mut kinds = [STRANGER; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        kinds[byte as usize] = match byte {
            b'/' | b':' | b'.' => END,
            b'-' | b'_' => 0,
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => CAPITAL,
            b'a'..=b'z' => SMALL,
            _ => STRANGER,
        };
        byte += 1;
    }
    kinds
};

/// Appends the shape of `path` to `out`. What it appends is UTF-8.
#[inline]
pub fn write_shape(path: &str, out: &mut Vec<u8>) {
    let (path, cut) = match path.as_bytes().get(..PATH_LIMIT) {
        Some(begin) if path.len() > PATH_LIMIT => (begin, true),
        _ => (path.as_bytes(), false),
    };
    let limit = out.len() + SHAPE_LIMIT;
    let mut shape = Shape { path, out, copied: 0, from: 0, segments: 0 };
    let mut sum = 0_u32;
    for (at, byte) in path.iter().enumerate() {
        let kind = KINDS.get(usize::from(*byte)).copied().unwrap_or(STRANGER);
        if kind != END {
            sum = sum.wrapping_add(kind);
            continue;
        }
        shape.part(at, sum);
        if shape.out.len() + (at - shape.copied) > limit {
            shape.copy(at);
            return shape.out.extend_from_slice(REST);
        }
        shape.segments += u32::from(*byte == b'/');
        shape.from = at + 1;
        sum = 0;
    }
    if cut {
        shape.copy(shape.from);
        return shape.out.extend_from_slice(REST);
    }
    shape.part(path.len(), sum);
    shape.copy(path.len());
}

/// A shape that is being written.
struct Shape<'a> {
    path: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Up to here the path is in `out`.
    copied: usize,
    /// Where the current part begins.
    from: usize,
    /// How many slashes stand before it.
    segments: u32,
}

impl Shape<'_> {
    /// The current part ends before `end`; `sum` is that of its kinds.
    #[inline]
    fn part(&mut self, end: usize, sum: u32) {
        let part = self.path.get(self.from..end).unwrap_or_default();
        // Most parts are words of small letters.
        let may_differ = sum & NOT_SMALL != 0 || part.len() > LONGEST;
        if may_differ && differs(part, sum, self.segments <= 1) {
            self.copy(self.from);
            self.out.extend_from_slice(VARIABLE);
            self.copied = end;
        }
    }

    /// Copies what stays, up to `end`.
    #[inline]
    fn copy(&mut self, end: usize) {
        self.out.extend_from_slice(self.path.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }
}

/// Whether a part looks like one that differs from call to call. The first part of a path is more often the version of an API
/// than a number of something.
#[inline]
fn differs(part: &[u8], sum: u32, is_first: bool) -> bool {
    if part.len() > LONGEST {
        return true;
    }
    let [digits, capitals, small, strangers] = sum.to_le_bytes().map(usize::from);
    if strangers > 0 {
        // `@me` and `$batch` are words, an address of mail is not.
        return strangers > 1 || digits > 0 || !matches!(part.first(), Some(b'@' | b'$'));
    }
    let letters = capitals + small;
    if letters == 0 {
        return digits > 0 && !(is_first && (part.len() <= 4 || is_date(part)));
    }
    if digits == 0 {
        let mixed = capitals * 3 > letters && small * 3 > letters;
        return part.len() >= LONG && (mixed || capitals == part.len());
    }
    digits >= 3 || (part.len() >= 16 && capitals > 0 && small > 0)
}

/// `2024-01-15` or `2024-01`.
fn is_date(part: &[u8]) -> bool {
    matches!(part.len(), 7 | 10) && part.iter().enumerate().all(|(at, byte)| (*byte == b'-') == matches!(at, 4 | 7))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(path: &str) -> String {
        let mut out = Vec::new();
        write_shape(path, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn words_stay_and_what_differs_goes() {
        for (path, expected) in [
            ("", ""),
            ("/", "/"),
            ("/v1/charges", "/v1/charges"),
            ("/v1/charges/", "/v1/charges/"),
            ("/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa/confirm", "/v1/payment_intents/{…}/confirm"),
            ("/v1/customers/cus_NffrFeUfNV2Hib", "/v1/customers/{…}"),
            ("/users/42", "/users/{…}"),
            ("/things/10000/parts", "/things/{…}/parts"),
            ("/things/aaaaa00a0a0a00aa0aa000a0/parts", "/things/{…}/parts"),
            ("/things/0a000000-0a0a-7a00-aaa0-a0aaa00aaaa0/parts", "/things/{…}/parts"),
            ("/users/42/posts/7", "/users/{…}/posts/{…}"),
            ("/users/42.json", "/users/{…}.json"),
            ("/v3/reports/2026-11-23", "/v3/reports/{…}"),
            ("/orders/01938f5e-7b1c-7a52-b8a1-3f0e8f0b6c11/lines", "/orders/{…}/lines"),
            ("/orders/01938F5E7B1C7A52B8A13F0E8F0B6C11", "/orders/{…}"),
            ("/api/conversations/C024BE91L", "/api/conversations/{…}"),
            ("/api/chat.postMessage", "/api/chat.postMessage"),
            ("/v1beta/models/gemini-pro:generateContent", "/v1beta/models/gemini-pro:generateContent"),
            ("/v1/operations/12345:cancel", "/v1/operations/{…}:cancel"),
            (
                "/google.pubsub.v1.Publisher/ListTopicSubscriptions",
                "/google.pubsub.v1.Publisher/ListTopicSubscriptions",
            ),
            ("/rest/getAccountBalanceForCustomer", "/rest/getAccountBalanceForCustomer"),
            ("/v1/models/text-embedding-3-small", "/v1/models/text-embedding-3-small"),
            ("/oauth2/token", "/oauth2/token"),
            ("/people/alice@example.com", "/people/{…}.com"),
            ("/people/alice%40example.com", "/people/{…}.com"),
            ("/users/@me/guilds", "/users/@me/guilds"),
            ("/a//b", "/a//b"),
            ("/files/{id}", "/files/{…}"),
            ("/files/straße", "/files/{…}"),
            ("/batch/$metadata", "/batch/$metadata"),
            ("/CONSTANT_NAME_WITH_WORDS", "/CONSTANT_NAME_WITH_WORDS"),
            ("/token/QWERTYUIOPASDFGHJKLZXCVB", "/token/{…}"),
            ("/token/aBcDeFgHiJkLmNoPqRsTuVwX", "/token/{…}"),
        ] {
            assert_eq!(shape(path), expected, "{path}");
        }
    }

    #[test]
    fn the_first_part_may_be_a_version() {
        for (path, expected) in [
            ("/2/tweets/1234567890", "/2/tweets/{…}"),
            ("/1.1/statuses/show.json", "/1.1/statuses/show.json"),
            ("/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef", "/2010-04-01/Accounts/{…}"),
            ("/2024-01/products", "/2024-01/products"),
            ("/20240115/products", "/{…}/products"),
            ("/1234567-89/products", "/{…}/products"),
        ] {
            assert_eq!(shape(path), expected, "{path}");
        }
    }

    #[test]
    fn keys_and_tokens_in_a_path_leave_nothing() {
        for secret in [
            "bot123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc",
            "bot123456789:AAEhBOweikadrQXMENQjcrGbqCrK",
            "sk_live_C4nary0000000000000000000001",
            "skc_…",
            "skc_3q2-7wQ_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2R",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ] {
            let found = shape(&format!("/{secret}/getMe"));
            let plain: String = found.split(['/', ':', '.', '{', '…', '}']).collect();
            assert_eq!(plain, "getMe", "{secret}: {found}");
        }
    }

    #[test]
    fn long_paths_end_in_an_ellipsis() {
        let many = shape(&"/word".repeat(100));
        assert!(many.starts_with("/word/word") && many.ends_with("word/…") && many.len() < PATH_LIMIT + 16, "{many}");
        let numbers = shape(&"/1".repeat(100));
        assert!(numbers.starts_with("/1/{…}/{…}") && numbers.ends_with("{…}…"), "{numbers}");
        assert!(numbers.len() <= SHAPE_LIMIT + VARIABLE.len() + REST.len(), "{numbers}");
        assert_eq!(shape(&format!("/{}", "a".repeat(5000))), "/…");
        assert_eq!(shape(&format!("/{}", "é".repeat(600))), "/…");
        let secret = format!("{}/sk_live_C4nary", "/word".repeat(23));
        assert_eq!(shape(&format!("{secret}0000000000001")), format!("{}/…", "/word".repeat(23)), "no begin of a key");
        let whole = format!("/{}", "w".repeat(63));
        assert_eq!(shape(&whole.repeat(2)), whole.repeat(2));
    }

    proptest! {
        #[test]
        fn any_path_has_a_short_shape_that_is_text(path in "(/|:|\\.|[a-zA-Z0-9_-]{0,12}|\\PC){0,300}") {
            let found = shape(&path);
            prop_assert!(found.len() <= SHAPE_LIMIT + LONGEST + VARIABLE.len() + REST.len());
            prop_assert!(found.bytes().filter(|b| *b == b'/').count() <= path.bytes().filter(|b| *b == b'/').count());
        }

        #[test]
        fn identifiers_of_every_kind_have_one_shape(
            number in 10_000..u64::MAX, hex in "[0-9a-f]{24}", uuid in "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ) {
            prop_assume!(hex.bytes().filter(u8::is_ascii_digit).count() >= 3);
            for id in [number.to_string(), hex, uuid] {
                prop_assert_eq!(shape(&format!("/things/{id}/parts")), "/things/{…}/parts");
            }
        }
    }
}
