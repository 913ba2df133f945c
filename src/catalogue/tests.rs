//! The embedded files are checked one by one and against each other: their form, the hosts that they claim, and for the
//! best known services the facts themselves. It asks no vendor anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use http::HeaderName;

use super::*;
use crate::domain::{Clock, HostPattern, Name, Placement, Scheme, Service, SystemClock};

const CATEGORIES: [&str; 36] = [
    "ai",
    "analytics",
    "automation",
    "cms",
    "commerce",
    "communication",
    "crm",
    "data",
    "design",
    "development",
    "documents",
    "email",
    "finance",
    "forms",
    "games",
    "health",
    "home",
    "hr",
    "infrastructure",
    "maps",
    "marketing",
    "media",
    "messaging",
    "monitoring",
    "news",
    "payments",
    "productivity",
    "project-management",
    "recruiting",
    "sales",
    "scheduling",
    "search",
    "security",
    "shipping",
    "social",
    "support",
];

/// The record of every file, parsed strictly.
fn parsed() -> Vec<(&'static str, ServiceRecord)> {
    SERVICES
        .iter()
        .map(|(name, text)| {
            let record = toml::from_str(text).unwrap_or_else(|error| panic!("{name}.toml: {error}"));
            (*name, record)
        })
        .collect()
}

/// Every service, compiled.
fn compiled() -> Vec<(&'static str, Service)> {
    parsed()
        .into_iter()
        .map(|(name, record)| {
            let service = crate::record::compile(&Name::new(name).unwrap(), &record)
                .unwrap_or_else(|errors| panic!("{name}.toml: {errors}"));
            (name, service)
        })
        .collect()
}

/// Fails with one line a fault, so that a bad batch of files is put right in one go.
fn no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn table_is_sorted_and_holds_every_file_of_the_folder() {
    let listed: Vec<String> = names().map(str::to_owned).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalogue/services");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| file.strip_suffix(".toml").unwrap_or_else(|| panic!("{file} is no .toml file")).to_owned())
        .collect();
    assert_eq!(listed, there.into_iter().collect::<Vec<_>>(), "index.rs and services/ differ");
}

#[test]
fn every_record_parses_and_can_be_asked_for() {
    assert_eq!(records().count(), SERVICES.len());
    assert_eq!(parsed().len(), SERVICES.len());
    for (name, record) in parsed() {
        assert_eq!(super::record(name), Some(record));
    }
    assert_eq!(super::record("no-such-service"), None);
    assert_eq!(text("Stripe"), None, "names have one spelling");
}

#[test]
fn every_record_compiles() {
    assert_eq!(compiled().len(), SERVICES.len());
}

#[test]
fn every_record_says_what_a_person_needs() {
    let mut faults = Vec::new();
    for (name, record) in parsed() {
        let mut fault = |text: &str| faults.push(format!("{name}: {text}"));
        if record.title.as_deref().is_none_or(|t| t.trim() != t || t.is_empty()) {
            fault("no title");
        }
        if !record.category.as_deref().is_some_and(|c| CATEGORIES.contains(&c)) {
            fault("a category that is not in the list");
        }
        if record.docs.is_none() && record.key_url.is_none() {
            fault("neither docs nor key_url");
        }
        for url in record.docs.iter().chain(&record.key_url) {
            if !url.starts_with("https://") || url.contains([' ', '{']) {
                fault("docs or key_url is not plain https");
            }
        }
        if !record.key_help.as_deref().is_some_and(|h| h.ends_with('.') && h.len() <= 240) {
            fault("key_help is missing, too long or no sentence");
        }
        for (var, variable) in record.vars.iter().flatten() {
            if variable.title.is_none() {
                fault(&format!("variable {var} has no title"));
            }
            if variable.example.is_none() && variable.choices.is_none() {
                fault(&format!("variable {var} shows no form"));
            }
        }
        for variable in record.env.iter().flatten() {
            if !variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
                fault(&format!("{variable} is no usual environment variable"));
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn every_record_asks_for_a_key_and_sends_it_over_tls_only() {
    let mut faults = Vec::new();
    for (name, service) in compiled() {
        if service.base.scheme != Scheme::Https || service.allow_plaintext || service.upstream.allow_private {
            faults.push(format!("{name}: a key may leave without TLS, or for a private address"));
        }
        if service.fields().is_empty() {
            faults.push(format!("{name}: no secret field"));
        }
        if service.fields().len() == 1 && service.fields()[0].as_str() != "key" {
            faults.push(format!("{name}: its only field is called `{}`, not `key`", service.fields()[0]));
        }
        if service.base.path.literal().is_none_or(|path| !path.is_empty()) {
            faults.push(format!("{name}: a base path, which an SDK would send twice"));
        }
    }
    no_faults(&faults);
}

#[test]
fn every_variable_is_used() {
    let mut faults = Vec::new();
    for ((name, record), (_, service)) in parsed().into_iter().zip(compiled()) {
        let used: BTreeSet<&str> = service.variables.iter().map(|v| v.name.as_str()).collect();
        let unused = record.vars.iter().flatten().map(|(var, _)| var.as_str()).filter(|var| !used.contains(var));
        faults.extend(unused.map(|var| format!("{name}: variable {var} stands nowhere")));
    }
    no_faults(&faults);
}

#[test]
fn verification_is_harmless_to_the_eye_and_holds_no_secret() {
    let mut faults = Vec::new();
    for (name, service) in compiled() {
        let Some(verify) = &service.verify else { continue };
        let secret = |hole: &&Name| service.fields().contains(hole);
        if verify.path.holes().any(|hole| secret(&hole)) {
            faults.push(format!("{name}: its verification path holds a secret field"));
        }
        if verify.body.as_deref().is_some_and(|body| body.contains("{key}")) {
            faults.push(format!("{name}: its verification body holds a secret field"));
        }
        if !["GET", "POST"].contains(&verify.method.as_str()) {
            faults.push(format!("{name}: {} is no harmless method", verify.method));
        }
        if !service.paths.is_empty() && !service.paths.iter().any(|p| within(&verify.path.to_string(), p)) {
            faults.push(format!("{name}: its verification path does not belong to it"));
        }
    }
    no_faults(&faults);
}

/// Whether `path` is `prefix` or lies below it.
fn within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[test]
fn headers_are_spelled_as_headers() {
    let mut faults = Vec::new();
    for (name, record) in parsed() {
        let limits = record.limits.iter().flat_map(|l| l.headers.iter().flatten());
        let fixed = record.headers.iter().flatten().map(|(header, _)| header);
        for header in limits.chain(fixed) {
            if HeaderName::try_from(header.as_str()).is_err() {
                faults.push(format!("{name}: {header} is no header"));
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn headers_of_its_own_and_resets_go_with_a_family() {
    let mut faults = Vec::new();
    for (name, record) in parsed() {
        let Some(limits) = record.limits else { continue };
        if (limits.family.as_deref() == Some("vendor")) != limits.headers.is_some() {
            faults.push(format!("{name}: `headers` go with the family `vendor`, and it with them"));
        }
        if limits.reset.is_some() && limits.family.is_none() {
            faults.push(format!("{name}: a reset without a family"));
        }
        // Okta means seconds since the epoch, Teamtailor seconds from now, Prisjakt milliseconds from now.
        if limits.family.as_deref() == Some("x-rate-limit") && limits.reset.is_none() {
            faults.push(format!("{name}: `x-rate-limit` has no usual meaning of its reset"));
        }
    }
    no_faults(&faults);
}

#[test]
fn no_host_is_claimed_twice_without_disjoint_paths() {
    type Claim = (&'static str, Vec<Box<str>>);
    let mut claims: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
    for (name, service) in compiled() {
        for (pattern, port) in &service.hosts {
            let host = match pattern {
                HostPattern::Exact(host) => host.to_string(),
                // A host that is nothing but a hole is whatever a credential pins.
                HostPattern::Tenant(template) if template.to_string().starts_with("{hostname}") => continue,
                HostPattern::Tenant(template) => any_tenant(&template.to_string()),
                HostPattern::AnyLabel(suffix) => panic!("{name}: *.{suffix} would take every tenant for the same"),
            };
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            claims.entry(format!("{host}{port}")).or_default().push((name, service.paths.clone()));
        }
    }
    let mut faults = Vec::new();
    for (host, claimants) in claims {
        for (i, (one, ours)) in claimants.iter().enumerate() {
            for (other, theirs) in claimants.iter().skip(i + 1) {
                let both_default = ours.is_empty() && theirs.is_empty();
                let overlap = ours.iter().any(|a| theirs.iter().any(|b| within(a, b) || within(b, a)));
                if both_default || overlap || one == other {
                    faults.push(format!("{host}: claimed by {one} and by {other}"));
                }
            }
        }
    }
    no_faults(&faults);
}

/// A tenant host with its holes made the same, so that two names for one hole are seen as the same host.
fn any_tenant(template: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in template.chars() {
        match c {
            '{' => inside = true,
            '}' => {
                inside = false;
                out.push('*');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// Service, host of the base URL, the places of its key.
const FACTS: &[(&str, &str, &[&str])] = &[
    ("airtable", "api.airtable.com", &["header Authorization: Bearer {key}"]),
    ("anthropic", "api.anthropic.com", &["header x-api-key: {key}"]),
    ("azure-devops", "dev.azure.com", &["basic :{key}"]),
    ("cloudflare", "api.cloudflare.com", &["header Authorization: Bearer {key}"]),
    ("confluence", "{subdomain}.atlassian.net", &["basic {email}:{key}"]),
    ("datadog", "api.{site}", &["header DD-API-KEY: {api_key}", "header DD-APPLICATION-KEY: {application_key}"]),
    ("deepl", "{host}", &["header Authorization: DeepL-Auth-Key {key}"]),
    ("discord", "discord.com", &["header Authorization: Bot {key}"]),
    ("elevenlabs", "api.elevenlabs.io", &["header xi-api-key: {key}"]),
    ("gem", "api.gem.com", &["header X-API-Key: {api_key}", "header X-Application-Secret: {application_secret}"]),
    ("github", "api.github.com", &["header Authorization: Bearer {key}"]),
    ("gitlab", "{hostname}", &["header PRIVATE-TOKEN: {key}"]),
    ("google-gemini", "generativelanguage.googleapis.com", &["header x-goog-api-key: {key}"]),
    ("google-maps", "maps.googleapis.com", &["query ?key={key}"]),
    ("groq", "api.groq.com", &["header Authorization: Bearer {key}"]),
    ("hubspot", "api.hubapi.com", &["header Authorization: Bearer {key}"]),
    ("huggingface", "huggingface.co", &["header Authorization: Bearer {key}"]),
    ("jira", "{subdomain}.atlassian.net", &["basic {email}:{key}"]),
    ("klaviyo", "a.klaviyo.com", &["header Authorization: Klaviyo-API-Key {key}"]),
    ("linear", "api.linear.app", &["header Authorization: {key}"]),
    ("mailchimp", "{dc}.api.mailchimp.com", &["basic anystring:{key}"]),
    ("mailgun", "{host}", &["basic api:{key}"]),
    ("mistral", "api.mistral.ai", &["header Authorization: Bearer {key}"]),
    ("notion", "api.notion.com", &["header Authorization: Bearer {key}"]),
    ("openai", "api.openai.com", &["header Authorization: Bearer {key}"]),
    ("openrouter", "openrouter.ai", &["header Authorization: Bearer {key}"]),
    ("pagerduty", "{host}", &["header Authorization: Token token={key}"]),
    ("postmark", "api.postmarkapp.com", &["header X-Postmark-Server-Token: {key}"]),
    ("resend", "api.resend.com", &["header Authorization: Bearer {key}"]),
    ("sendgrid", "api.sendgrid.com", &["header Authorization: Bearer {key}"]),
    ("shopify", "{subdomain}.myshopify.com", &["header X-Shopify-Access-Token: {key}"]),
    ("slack", "slack.com", &["header Authorization: Bearer {key}"]),
    ("stripe", "api.stripe.com", &["header Authorization: Bearer {key}"]),
    ("supabase", "{subdomain}.supabase.co", &["header apikey: {key}", "header Authorization: Bearer {key}"]),
    ("telegram", "api.telegram.org", &["path /bot{key}"]),
    ("trello", "api.trello.com", &["query ?key={api_key}", "query ?token={token}"]),
    ("twilio", "api.twilio.com", &["basic {account_sid}:{auth_token}"]),
    ("zendesk", "{subdomain}.zendesk.com", &["basic {email}/token:{key}"]),
];

#[test]
fn well_known_services_are_where_they_are() {
    let services: BTreeMap<&str, Service> = compiled().into_iter().collect();
    for (name, host, places) in FACTS {
        let service = services.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(service.base.host.to_string(), *host, "{name}");
        assert_eq!(service.auth.iter().map(Placement::describe).collect::<Vec<_>>(), *places, "{name}");
    }
}

#[test]
fn required_headers_come_with_the_services_that_demand_them() {
    let demanded = [("anthropic", "anthropic-version"), ("notion", "notion-version"), ("klaviyo", "revision")];
    let services: BTreeMap<&str, Service> = compiled().into_iter().collect();
    for (name, header) in demanded {
        assert!(services[name].headers.iter().any(|(there, _)| there == header), "{name} sends no {header}");
    }
    let slack = services["slack"].verify.as_ref().unwrap();
    assert_eq!(slack.expect_true.as_deref(), Some("ok"), "Slack answers 200 to a wrong key");
}

#[test]
fn limits_of_well_known_services_are_read_as_they_are_meant() {
    use crate::throttle::{Class, Family, Sample, Word};
    let services: BTreeMap<&str, Service> = compiled().into_iter().collect();
    let shopify = Family::new(&services["shopify"].signals);
    assert_eq!(shopify.bucket("POST", "/admin/api/2026-01/graphql.json"), Word::new("graphql"));
    assert_eq!(shopify.bucket("GET", "/admin/api/2026-01/products.json"), None);
    let json = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))];
    let headers = http::HeaderMap::from_iter(json);
    let of = |name: &str, body: &[u8]| {
        let (status, now, body) = (http::StatusCode::TOO_MANY_REQUESTS, std::time::Duration::ZERO, Some(body));
        let reading = Family::new(&services[name].signals).read(&Sample { status, headers: &headers, now, body });
        (reading.class, reading.wait.map(|wait| wait.as_secs()), reading.told)
    };
    assert_eq!(of("hubspot", br#"{"policyName":"DAILY"}"#), (Class::Exhausted, Some(300), false));
    assert_eq!(of("hubspot", br#"{"policyName":"TEN_SECONDLY_ROLLING"}"#), (Class::Throttled, Some(10), false));
    assert_eq!(of("github", b"{}"), (Class::Throttled, Some(60), false));
}

#[test]
fn search_finds_by_name_title_alias_and_category() {
    let names = |query: &str| search(query).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("Stripe").first(), Some(&"stripe"));
    assert_eq!(names("claude").first(), Some(&"anthropic"));
    assert_eq!(names("hugging face").first(), Some(&"huggingface"));
    assert_eq!(names("GEMINI").first(), Some(&"google-gemini"));
    assert!(names("payments").contains(&"stripe"));
    assert_eq!(names("postmark"), ["postmark", "postmark-account"], "the exact name stands first");
    assert!(names("no such thing").is_empty());
    assert_eq!(names("  ").len(), SERVICES.len());
}

#[test]
fn the_whole_catalogue_is_read_in_far_less_than_a_proxy_start_may_take() {
    let reading = || {
        let before = SystemClock.now();
        assert!(records().count() > 400);
        SystemClock.now().saturating_duration_since(before)
    };
    // Unoptimised, and the best of three on a busy machine; optimised it is some ten times faster.
    let took = [reading(), reading(), reading()].into_iter().min().unwrap();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}
