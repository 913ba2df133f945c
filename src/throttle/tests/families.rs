//! Every family of headers: what it sends, where that is documented, and the wait that follows.

use std::num::NonZeroU32;

use http::header::HeaderName;

use crate::domain::{OwnHeaders, Rate, ResetUnit};

use super::*;

struct Row {
    /// The vendor's page or the RFC.
    source: &'static str,
    family: Option<HeaderFamily>,
    status: u16,
    headers: &'static str,
    class: Class,
    /// In seconds.
    wait: Option<f64>,
}

fn check(rows: &[Row], signals_of: impl Fn(&Row) -> Signals) {
    for row in rows {
        let reading = read(&signals_of(row), row.status, row.headers);
        let found = (reading.class, reading.wait.map(|wait| wait.as_secs_f64()));
        assert_eq!(found, (row.class, row.wait), "{} ({})\n{reading:?}", row.headers, row.source);
    }
}

const fn row(
    source: &'static str,
    family: Option<HeaderFamily>,
    status: u16,
    headers: &'static str,
    class: Class,
    wait: Option<f64>,
) -> Row {
    Row { source, family, status, headers, class, wait }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_family_gives_the_wait_it_means() {
    use Class::{Exhausted, Fine, Throttled};
    use HeaderFamily as F;
    let rows = [
        row("RFC 9110 §10.2.3", Some(F::RetryAfter), 429, "retry-after: 120", Throttled, Some(120.0)),
        row("RFC 6585 §4", None, 429, "retry-after: 120", Throttled, Some(120.0)),
        row(
            "the drafts' §7: Retry-After takes precedence",
            None,
            429,
            "retry-after: 20\nratelimit: \"a\";r=0;t=90\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 90",
            Throttled,
            Some(20.0),
        ),
        row(
            "learn.microsoft.com/azure/ai-services/openai/how-to/quota",
            Some(F::OpenAi),
            429,
            "retry-after-ms: 1342\nretry-after: 2\nx-ratelimit-remaining-requests: -1\nx-ratelimit-remaining-tokens: 0",
            Throttled,
            Some(1.342),
        ),
        row(
            "learn.microsoft.com/rest/api/cosmos-db: x-ms-retry-after-ms",
            None,
            429,
            "x-ms-retry-after-ms: 37",
            Throttled,
            Some(0.037),
        ),
        // IETF drafts.
        row(
            "draft-ietf-httpapi-ratelimit-headers-06",
            Some(F::Ietf06),
            429,
            "ratelimit-limit: 10, 10;w=1, 50;w=60\nratelimit-remaining: 0\nratelimit-reset: 7",
            Throttled,
            Some(7.0),
        ),
        row(
            "resend.com/docs/api-reference/rate-limit",
            Some(F::Ietf06),
            200,
            "ratelimit-limit: 2\nratelimit-remaining: 1\nratelimit-reset: 1\nratelimit-policy: 2;w=1",
            Fine,
            None,
        ),
        row(
            "docs.gitlab.com/ee/administration/settings/user_and_ip_rate_limits: epoch in RateLimit-Reset",
            Some(F::GitLab),
            429,
            "ratelimit-limit: 60\nratelimit-name: throttle_authenticated_web\nratelimit-observed: 67\n\
             ratelimit-remaining: 0\nratelimit-reset: 1772359230\nratelimit-resettime: Sun, 01 Mar 2026 10:00:30 GMT",
            Throttled,
            Some(31.0),
        ),
        row("draft 07", Some(F::Ietf07), 429, "ratelimit: limit=100, remaining=0, reset=30", Throttled, Some(30.0)),
        row(
            "draft 07, with something left",
            Some(F::Ietf07),
            200,
            "ratelimit: limit=100, remaining=50, reset=30",
            Fine,
            None,
        ),
        row(
            "developers.cloudflare.com/fundamentals/api/reference/limits",
            Some(F::Ietf08),
            429,
            "ratelimit: \"default\";r=0;t=30\nratelimit-policy: \"burst\";q=100;w=60",
            Throttled,
            Some(30.0),
        ),
        row(
            "draft 08: the longest of those used up, over two lines",
            Some(F::Ietf08),
            429,
            "ratelimit: \"minute\";r=0;t=12\nratelimit: \"day\";r=0;t=600;pk=:dXNlcjE=:, \"hour\";r=3;t=3000",
            Throttled,
            Some(600.0),
        ),
        row(
            "draft 08: other units than requests close nothing",
            Some(F::Ietf08),
            200,
            "ratelimit: \"bytes\";r=0;t=30\nratelimit-policy: \"bytes\";q=65535;qu=\"content-bytes\";w=10",
            Fine,
            None,
        ),
        row("draft 08: malformed is ignored", Some(F::Ietf08), 429, "ratelimit: \"a\";r=0;;t=30", Throttled, None),
        // X-RateLimit, in every meaning of its reset.
        row(
            "docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api",
            Some(F::GitHub),
            403,
            "x-ratelimit-limit: 60\nx-ratelimit-remaining: 0\nx-ratelimit-used: 60\nx-ratelimit-reset: 1772359260\n\
             x-ratelimit-resource: core",
            Throttled,
            Some(61.0),
        ),
        row(
            "docs.github.com: a permission, not a limit",
            Some(F::GitHub),
            403,
            "x-ratelimit-limit: 5000\nx-ratelimit-remaining: 4999\nx-ratelimit-reset: 1772362800\n\
             x-ratelimit-resource: core",
            Class::Auth,
            None,
        ),
        row("docs.github.com: a blank Retry-After", Some(F::GitHub), 429, "retry-after:", Throttled, None),
        row(
            "docs.datadoghq.com/api/latest/rate-limits",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 300\nx-ratelimit-period: 3600\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 42\n\
             x-ratelimit-name: events_search",
            Throttled,
            Some(42.0),
        ),
        row(
            "support.exactonline.com: epoch in milliseconds",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-remaining: 0\nx-ratelimit-reset: 1772359230000",
            Throttled,
            Some(31.0),
        ),
        row(
            "developer.lemlist.com: a date as JavaScript prints it",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 20\nx-ratelimit-remaining: 0\n\
             x-ratelimit-reset: Sun Mar 01 2026 10:00:02 GMT+0000 (Coordinated Universal Time)",
            Throttled,
            Some(3.0),
        ),
        row(
            "developers.mailerlite.com/docs: a date",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 120\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 2026-03-01 10:00:30",
            Throttled,
            Some(31.0),
        ),
        row(
            "developer.atlassian.com/cloud/jira/platform/rate-limiting: no seconds",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 350\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 2026-03-01T10:15Z\n\
             x-ratelimit-nearlimit: true\nratelimit-reason: jira-quota-global-based",
            Exhausted,
            Some(901.0),
        ),
        row(
            "developers.smartsheet.com: epoch in seconds",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 300\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1772359230",
            Throttled,
            Some(31.0),
        ),
        row(
            "docs.mattermost.com and developer.hashicorp.com/terraform: seconds from now",
            Some(F::XRateLimit),
            429,
            "x-ratelimit-limit: 30\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 0.421",
            Throttled,
            Some(0.421),
        ),
        row(
            "docs.teamtailor.com, shipstation.com/docs/api: seconds from now",
            Some(F::XRateDashLimit),
            429,
            "x-rate-limit-limit: 50\nx-rate-limit-remaining: 0\nx-rate-limit-reset: 8",
            Throttled,
            Some(8.0),
        ),
        row(
            "a date of HTTP that has passed is no wait",
            Some(F::RetryAfter),
            429,
            "retry-after: Sun, 01 Mar 2026 09:59:59 GMT",
            Throttled,
            None,
        ),
        row(
            "docs.withpersona.com: the drafts' fields up to 06",
            Some(F::Ietf06),
            429,
            "ratelimit-limit: 300\nratelimit-remaining: 0\nratelimit-reset: 41",
            Throttled,
            Some(41.0),
        ),
        row(
            "www.twilio.com/docs/api/errors/20429",
            Some(F::Twilio),
            429,
            "twilio-concurrent-requests: 101",
            Throttled,
            None,
        ),
        row(
            "docs.sentry.io: a fraction in Retry-After",
            Some(F::Sentry),
            429,
            "retry-after: 0.25",
            Throttled,
            Some(0.25),
        ),
        row(
            "developer.okta.com/docs/reference/rl-best-practices",
            Some(F::XRateDashLimit),
            429,
            "x-rate-limit-limit: 600\nx-rate-limit-remaining: 0\nx-rate-limit-reset: 1772359230",
            Throttled,
            Some(31.0),
        ),
        // Language models.
        row(
            "platform.openai.com/docs/guides/rate-limits",
            Some(F::OpenAi),
            429,
            "x-ratelimit-limit-requests: 60\nx-ratelimit-limit-tokens: 150000\nx-ratelimit-remaining-requests: 5\n\
             x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-requests: 6m0s\nx-ratelimit-reset-tokens: 59.56s",
            Throttled,
            Some(59.56),
        ),
        row(
            "platform.openai.com: a reset of what is left is no wait",
            Some(F::OpenAi),
            200,
            "x-ratelimit-remaining-requests: 5\nx-ratelimit-reset-requests: 6m0s",
            Fine,
            None,
        ),
        row(
            "console.groq.com/docs/rate-limits",
            Some(F::OpenAi),
            429,
            "retry-after: 2\nx-ratelimit-limit-requests: 14400\nx-ratelimit-limit-tokens: 18000\n\
             x-ratelimit-remaining-requests: 14370\nx-ratelimit-remaining-tokens: 0\n\
             x-ratelimit-reset-requests: 2m59.56s\nx-ratelimit-reset-tokens: 7.66s",
            Throttled,
            Some(2.0),
        ),
        row(
            "inference-docs.cerebras.ai/support/rate-limits",
            Some(F::OpenAi),
            429,
            "x-ratelimit-limit-requests-day: 1000000000\nx-ratelimit-limit-tokens-minute: 1000000000\n\
             x-ratelimit-remaining-requests-day: 999997455\nx-ratelimit-remaining-tokens-minute: 0\n\
             x-ratelimit-reset-requests-day: 33011.382867097855\nx-ratelimit-reset-tokens-minute: 11.5",
            Throttled,
            Some(11.5),
        ),
        row(
            "learn.microsoft.com: −1 is unknown",
            Some(F::OpenAi),
            200,
            "x-ratelimit-remaining-requests: -1\nx-ratelimit-reset-requests: 10",
            Fine,
            None,
        ),
        row(
            "docs.anthropic.com/en/api/rate-limits",
            Some(F::Anthropic),
            429,
            "anthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\n\
             anthropic-ratelimit-requests-reset: 2026-03-01T10:00:01Z\nanthropic-ratelimit-input-tokens-limit: 20000\n\
             anthropic-ratelimit-input-tokens-remaining: 0\nanthropic-ratelimit-input-tokens-reset: 2026-03-01T10:00:41Z",
            Throttled,
            Some(42.0),
        ),
        row(
            "what Anthropic sends for a subscription that is used up",
            Some(F::Anthropic),
            429,
            "anthropic-ratelimit-unified-status: rejected\nanthropic-ratelimit-unified-reset: 1772359500\n\
             anthropic-ratelimit-unified-5h-status: rejected\nanthropic-ratelimit-unified-5h-reset: 1772359500",
            Exhausted,
            Some(301.0),
        ),
        row(
            "linear.app/developers/rate-limiting",
            Some(F::Linear),
            400,
            "x-ratelimit-requests-limit: 5000\nx-ratelimit-requests-remaining: 0\n\
             x-ratelimit-requests-reset: 1772359230000\nx-complexity: 10",
            Fine,
            Some(31.0),
        ),
        // Commerce and CRM.
        row(
            "shopify.dev/docs/api/admin-rest/usage/rate-limits",
            Some(F::Shopify),
            429,
            "x-shopify-shop-api-call-limit: 40/40\nretry-after: 2.0",
            Throttled,
            Some(2.0),
        ),
        row(
            "shopify.dev: a leaky bucket that is not full",
            Some(F::Shopify),
            200,
            "x-shopify-shop-api-call-limit: 32/40",
            Fine,
            None,
        ),
        row(
            "developers.hubspot.com/docs/api/usage-details: the day is used up",
            Some(F::HubSpot),
            429,
            "x-hubspot-ratelimit-daily: 250000\nx-hubspot-ratelimit-daily-remaining: 0\n\
             x-hubspot-ratelimit-interval-milliseconds: 10000\nx-hubspot-ratelimit-max: 100\n\
             x-hubspot-ratelimit-remaining: 99",
            Exhausted,
            Some(300.0),
        ),
        row(
            "docs.stripe.com/rate-limits",
            Some(F::Stripe),
            429,
            "stripe-rate-limited-reason: global-rate",
            Throttled,
            None,
        ),
        row(
            "discord.com/developers/docs/topics/rate-limits",
            Some(F::Discord),
            429,
            "retry-after: 65\nx-ratelimit-limit: 10\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1772359264.57\n\
             x-ratelimit-reset-after: 64.57\nx-ratelimit-bucket: abcd1234\nx-ratelimit-scope: user",
            Throttled,
            Some(65.0),
        ),
        row(
            "discord.com: the last one of a bucket",
            Some(F::Discord),
            200,
            "x-ratelimit-limit: 5\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1772359300\n\
             x-ratelimit-reset-after: 1.25\nx-ratelimit-bucket: abcd1234",
            Fine,
            Some(1.25),
        ),
        row(
            "support.reddithelp.com/hc/articles/16160319875092",
            Some(F::Reddit),
            200,
            "x-ratelimit-used: 600\nx-ratelimit-remaining: 0.0\nx-ratelimit-reset: 417",
            Fine,
            Some(417.0),
        ),
        row(
            "docs.sentry.io/api/ratelimits: the window",
            Some(F::Sentry),
            429,
            "x-sentry-rate-limit-limit: 40\nx-sentry-rate-limit-remaining: 0\nx-sentry-rate-limit-reset: 1772359201\n\
             x-sentry-rate-limit-concurrentlimit: 25\nx-sentry-rate-limit-concurrentremaining: 24",
            Throttled,
            Some(2.0),
        ),
        row(
            "docs.docker.com/docker-hub/usage/pulls: nothing left, and not until when",
            Some(F::DockerHub),
            200,
            "ratelimit-limit: 100;w=21600\nratelimit-remaining: 0;w=21600",
            Fine,
            None,
        ),
        row("api.slack.com/apis/rate-limits", Some(F::RetryAfter), 429, "retry-after: 30", Throttled, Some(30.0)),
        row(
            "developers.notion.com/reference/request-limits",
            Some(F::RetryAfter),
            529,
            "retry-after: 7",
            Class::Overloaded,
            Some(7.0),
        ),
    ];
    check(&rows, |row| signals(row.family));
}

#[test]
fn headers_of_its_own_and_a_declared_unit_are_read_as_declared() {
    let name = |text: &'static str| Some(HeaderName::from_static(text));
    let toggl = OwnHeaders {
        remaining: name("x-toggl-quota-remaining"),
        reset: name("x-toggl-quota-resets-in"),
        ..OwnHeaders::default()
    };
    let aircall = OwnHeaders {
        limit: name("x-aircallapi-limit"),
        remaining: name("x-aircallapi-remaining"),
        reset: name("x-aircallapi-reset"),
    };
    let contentful = OwnHeaders { reset: name("x-contentful-ratelimit-reset"), ..OwnHeaders::default() };
    let (delta, epoch) = (Some(ResetUnit::DeltaSeconds), Some(ResetUnit::EpochSeconds));
    for (own, reset, lines, status, wait) in [
        // engineering.toggl.com/docs: X-Toggl-Quota-Resets-In counts seconds.
        (&toggl, delta, "x-toggl-quota-remaining: 0\nx-toggl-quota-resets-in: 40", 200, Some(40.0)),
        (&toggl, delta, "x-toggl-quota-remaining: 29\nx-toggl-quota-resets-in: 40", 200, None),
        // developer.aircall.io/api-references/#rate-limiting
        (&aircall, epoch, "x-aircallapi-remaining: 0\nx-aircallapi-reset: 1772359230", 429, Some(31.0)),
        // www.contentful.com/developers/docs/references/content-delivery-api: seconds, with a 429 alone.
        (&contentful, delta, "x-contentful-ratelimit-reset: 1", 429, Some(1.0)),
    ] {
        let own = vec![own.clone()];
        let signals = Signals { family: Some(HeaderFamily::Vendor), reset, own, ..Signals::default() };
        let reading = read(&signals, status, lines);
        assert_eq!(reading.wait, wait.map(seconds), "{lines}");
        assert!(reading.trusted);
    }
    // Prisjakt counts milliseconds from now.
    let prisjakt = Signals { reset: Some(ResetUnit::DeltaMillis), ..signals(Some(HeaderFamily::XRateDashLimit)) };
    let reading = read(&prisjakt, 429, "x-rate-limit-remaining: 0\nx-rate-limit-reset: 1500");
    assert_eq!(reading.wait, Some(seconds(1.5)));
}

#[test]
fn a_limit_of_requests_at_once_is_told_from_one_of_time() {
    use HeaderFamily as F;
    for (family, lines, concurrency) in [
        (F::Stripe, "stripe-rate-limited-reason: global-concurrency", true),
        (F::Stripe, "stripe-rate-limited-reason: endpoint-concurrency", true),
        (F::Stripe, "stripe-rate-limited-reason: endpoint-rate", false),
        (F::Stripe, "stripe-rate-limited-reason: resource-specific", false),
        (F::Stripe, "", false),
        // www.twilio.com/docs/api/errors/20429
        (F::Twilio, "twilio-concurrent-requests: 101", true),
        (F::Sentry, "x-sentry-rate-limit-remaining: 39\nx-sentry-rate-limit-concurrentremaining: 0", true),
        (F::Sentry, "x-sentry-rate-limit-remaining: 0\nx-sentry-rate-limit-concurrentremaining: 0", false),
    ] {
        let reading = read(&signals(Some(family)), 429, lines);
        assert_eq!((reading.class, reading.concurrency), (Class::Throttled, concurrency), "{lines}");
        assert_eq!(reading.wait, None, "{lines}");
    }
}

#[test]
fn buckets_and_scopes_are_told() {
    use HeaderFamily as F;
    let of = |family, status, lines: &str| {
        let reading = read(&signals(Some(family)), status, lines);
        (reading.bucket.map(|bucket| bucket.to_string()), reading.scope)
    };
    let spent = "x-ratelimit-remaining: 0\nx-ratelimit-reset: 1772359230\n";
    let github = format!("{spent}x-ratelimit-resource: search");
    assert_eq!(of(F::GitHub, 403, &github), (Some("search".into()), Scope::Bucket));
    // A secondary limit: something is left of the primary one.
    let secondary = "x-ratelimit-remaining: 4000\nx-ratelimit-resource: core\nretry-after: 60";
    assert_eq!(of(F::GitHub, 403, secondary), (Some("core".into()), Scope::Owner));
    let discord = format!("{spent}x-ratelimit-bucket: 0b3c5e7a9d1f4c6e8a0b2d4f6c8e0a1b");
    assert_eq!(of(F::Discord, 429, &discord), (Some("0b3c5e7a9d1f4c6e8a0b2d4f6c8e0a1b".into()), Scope::Bucket));
    assert_eq!(of(F::Discord, 429, "retry-after: 3\nx-ratelimit-global: true").1, Scope::Owner);
    assert_eq!(of(F::Discord, 429, "retry-after: 3\nx-ratelimit-scope: shared").1, Scope::Shared);
    assert_eq!(of(F::XRateLimit, 429, "x-ratelimit-name: events").0.as_deref(), Some("events"));
    assert_eq!(of(F::GitLab, 429, "ratelimit-name: throttle_api").0.as_deref(), Some("throttle_api"));
    assert_eq!(of(F::Ietf08, 429, "ratelimit: \"a\";r=0;t=1;pk=:dXNlcjE=:").0.as_deref(), Some("dXNlcjE="));
    assert_eq!(of(F::RetryAfter, 503, "retry-after: 3").1, Scope::Owner);
    // developer.atlassian.com/cloud/jira/platform/rate-limiting
    let jira = "retry-after: 3\nratelimit-reason: ";
    assert_eq!(of(F::XRateLimit, 429, &format!("{jira}jira-burst-based")).1, Scope::Route);
    assert_eq!(of(F::XRateLimit, 429, &format!("{jira}jira-quota-global-based")).1, Scope::Bucket);
    // docs.stripe.com/rate-limits
    for (status, reason, scope) in [
        (429, "endpoint-rate", Scope::Route),
        (429, "endpoint-concurrency", Scope::Route),
        (429, "global-rate", Scope::Bucket),
        (429, "global-concurrency", Scope::Bucket),
        (429, "resource-specific", Scope::Bucket),
        (200, "endpoint-rate", Scope::Bucket),
    ] {
        assert_eq!(of(F::Stripe, status, &format!("stripe-rate-limited-reason: {reason}")).1, scope, "{reason}");
    }
}

#[test]
fn what_discord_counts_as_invalid_is_told() {
    for (status, lines, is_invalid) in [
        (401, "", true),
        (403, "", true),
        (429, "retry-after: 3\nx-ratelimit-scope: user", true),
        (429, "retry-after: 3\nx-ratelimit-scope: shared", false),
        (404, "", false),
        (200, "x-ratelimit-remaining: 4\nx-ratelimit-reset-after: 1", false),
    ] {
        let discord = signals(Some(HeaderFamily::Discord));
        assert_eq!(read(&discord, status, lines).is_invalid, is_invalid, "{status} {lines}");
        assert!(!read(&signals(Some(HeaderFamily::GitHub)), status, lines).is_invalid);
    }
}

#[test]
fn dimensions_are_told_whole() {
    let leak = Rate { count: NonZeroU32::new(2).unwrap(), period: Duration::from_secs(1) };
    let shopify = Signals { leak: Some(leak), ..signals(Some(HeaderFamily::Shopify)) };
    let reading = read(&shopify, 200, "x-shopify-shop-api-call-limit: 32/40");
    let [bucket] = *reading.dimensions else { panic!("{reading:?}") };
    assert!(bucket.leaky);
    assert_eq!((bucket.limit, bucket.remaining, bucket.window), (Some(40), Some(8), Some(seconds(20.0))));

    let plus = read(&signals(Some(HeaderFamily::Shopify)), 200, "x-shopify-shop-api-call-limit: 10/400");
    assert_eq!((plus.dimensions[0].limit, plus.dimensions[0].window), (Some(400), Some(seconds(20.0))));

    let affinity =
        "x-ratelimit-limit-user: 900\nx-ratelimit-limit-user-remaining: 899\nx-ratelimit-limit-user-reset: 8";
    let reading = read(&Signals::default(), 200, affinity);
    let [user] = *reading.dimensions else { panic!("{reading:?}") };
    assert_eq!(
        (user.name.as_str(), user.limit, user.remaining, user.reset),
        ("user", Some(900), Some(899), Some(seconds(8.0)))
    );

    let docker = "ratelimit-limit: 100;w=21600\nratelimit-remaining: 76;w=21600";
    let reading = read(&signals(Some(HeaderFamily::DockerHub)), 200, docker);
    let [pulls] = *reading.dimensions else { panic!("{reading:?}") };
    assert_eq!((pulls.limit, pulls.remaining, pulls.window), (Some(100), Some(76), Some(seconds(21600.0))));

    let reddit = "x-ratelimit-limit: 100\nx-ratelimit-used: 98.5\nx-ratelimit-reset: 3";
    let reading = read(&signals(Some(HeaderFamily::Reddit)), 200, reddit);
    assert_eq!(reading.dimensions[0].remaining, Some(2));

    let trello = "x-rate-limit-api-token-interval-ms: 10000\nx-rate-limit-api-token-max: 100\nx-rate-limit-api-token-remaining: 99";
    let reading = read(&signals(Some(HeaderFamily::XRateDashLimit)), 200, trello);
    let token = reading.dimensions[0];
    assert_eq!((token.limit, token.remaining, token.window), (Some(100), Some(99), Some(seconds(10.0))));
}

#[test]
fn a_rate_that_is_told_or_published_is_the_time_between_two_requests() {
    use HeaderFamily as F;
    let published = Rate { count: NonZeroU32::new(4).unwrap(), period: Duration::from_secs(1) };
    let spent = "ratelimit-remaining: 0\nratelimit-reset: 7\n";
    for (family, rate, lines, spacing) in [
        // The drafts up to 06: the window of the limit that is told, beside others.
        (F::Ietf06, None, format!("{spent}ratelimit-limit: 100\nratelimit-policy: 10;w=1, 100;w=60"), Some(0.6)),
        (F::Ietf06, None, format!("{spent}ratelimit-policy: 10;w=1, 100;w=60"), Some(0.1)),
        (F::Ietf06, None, format!("{spent}ratelimit-limit: 30\nratelimit-policy: 10;w=1"), None),
        (F::Ietf06, None, format!("{spent}ratelimit-limit: 50, 50;w=60"), Some(1.2)),
        (F::Ietf06, None, format!("{spent}ratelimit-limit: 5000\nratelimit-policy: 5000;w=86400"), None),
        // Draft 08: of several the shortest window.
        (
            F::Ietf08,
            None,
            "ratelimit: \"a\";r=0;t=7, \"b\";r=9;t=7\nratelimit-policy: \"a\";q=600;w=60, \"b\";q=50;w=10".into(),
            Some(0.2),
        ),
        (F::DockerHub, None, "ratelimit-limit: 100;w=3600\nratelimit-remaining: 0;w=3600".into(), Some(36.0)),
        // What is told is nearer than what is published.
        (F::Stripe, Some(published), String::new(), Some(0.25)),
        (F::Ietf06, Some(published), format!("{spent}ratelimit-limit: 100;w=60"), Some(0.6)),
        (F::RetryAfter, None, format!("{spent}ratelimit-limit: 100;w=60"), None),
        (F::OpenAi, None, "x-ratelimit-limit-tokens-minute: 600\nx-ratelimit-remaining-tokens-minute: 0".into(), None),
    ] {
        let signals = Signals { rate, ..signals(Some(family)) };
        let reading = read(&signals, 429, &lines);
        assert_eq!(reading.policy, spacing.map(seconds), "{family:?} {lines}");
    }
    assert_eq!(read(&Signals::default(), 429, "ratelimit-limit: 1;w=60\nratelimit-remaining: 0").policy, None);
}

#[test]
fn whether_the_answer_itself_says_how_long_is_told() {
    let of = |lines| {
        let signals = Signals { default_wait: Some(seconds(60.0)), ..signals(Some(HeaderFamily::XRateLimit)) };
        let reading = read(&signals, 429, lines);
        (reading.wait, reading.told)
    };
    assert_eq!(of(""), (Some(seconds(60.0)), false));
    assert_eq!(of("retry-after: 60"), (Some(seconds(60.0)), true));
    assert_eq!(of("x-ratelimit-remaining: 0\nx-ratelimit-reset: 60"), (Some(seconds(60.0)), true));
}

#[test]
fn limits_that_fill_up_until_their_reset_are_told_from_windows() {
    use HeaderFamily as F;
    for (family, lines, fills) in [
        // "until the rate limit (based on requests) resets to its initial state": platform.openai.com/docs/guides/rate-limits
        (F::OpenAi, "x-ratelimit-remaining-requests: 5\nx-ratelimit-reset-requests: 6m0s", true),
        // "fully replenished": docs.anthropic.com/en/api/rate-limits
        (F::Anthropic, "anthropic-ratelimit-requests-remaining: 5", true),
        // A leaky bucket: linear.app/developers/rate-limiting
        (F::Linear, "x-ratelimit-requests-remaining: 5\nx-ratelimit-requests-reset: 1772359230000", true),
        (F::XRateLimit, "x-ratelimit-remaining: 5\nx-ratelimit-reset: 30", false),
    ] {
        let reading = read(&signals(Some(family)), 200, lines);
        assert_eq!(reading.dimensions.iter().map(|d| d.fills).collect::<Vec<_>>(), [fills], "{family:?}");
    }
}

#[test]
fn draft_08_tells_requests_at_once_from_requests_in_a_time() {
    let lines = "ratelimit: \"slots\";r=0;t=30\nratelimit-policy: \"slots\";q=5;qu=\"concurrent-requests\"";
    let reading = read(&signals(Some(HeaderFamily::Ietf08)), 429, lines);
    assert_eq!((reading.concurrency, reading.wait), (true, None), "fewer at once, and no time");
    assert_eq!(reading.dimensions[0].unit, Unit::Concurrency);
}

#[test]
fn a_limit_may_be_a_list_and_carry_its_window() {
    for (lines, limit, window) in [
        ("ratelimit-limit: 10, 10;w=1, 50;w=60", 10, Some(1.0)),
        ("ratelimit-limit: 10, 50;w=60", 10, None),
        ("ratelimit-limit: 50;w=60", 50, Some(60.0)),
        ("ratelimit-limit: 50", 50, None),
    ] {
        let reading = read(&signals(Some(HeaderFamily::Ietf06)), 200, lines);
        let [one] = *reading.dimensions else { panic!("{reading:?}") };
        assert_eq!((one.limit, one.window), (Some(limit), window.map(seconds)), "{lines}");
    }
}

#[test]
fn limits_that_nobody_vouches_for_are_not_trusted() {
    let spent = "x-ratelimit-remaining: 0\nx-ratelimit-reset: 60";
    for (family, lines, trusted) in [
        (None, spent, false),
        (Some(HeaderFamily::RetryAfter), spent, false),
        (Some(HeaderFamily::RetryAfter), "retry-after: 60", true),
        (Some(HeaderFamily::XRateLimit), spent, true),
    ] {
        assert_eq!(read(&signals(family), 429, lines).trusted, trusted, "{family:?} {lines}");
    }
    // Something is left: then it is the counts alone that nobody vouches for.
    let left = "x-ratelimit-remaining: 3\nx-ratelimit-reset: 600000";
    for (family, most) in
        [(None, 300), (Some(HeaderFamily::RetryAfter), 300), (Some(HeaderFamily::XRateLimit), 7 * 86_400)]
    {
        assert_eq!(read(&signals(family), 200, left).cap_of_counts().as_secs(), most, "{family:?}");
    }
}
