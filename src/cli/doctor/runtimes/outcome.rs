//! What it means how a runtime's program ended. Pure: from what it said to a finding.

use super::super::finding::Finding;
use super::CHECK;
use super::start::Ended;
use crate::domain::OWN_HOST;

/// The exit code of a program whose library is not installed.
const ABSENT: i32 = 3;

/// Words by which runtimes say that they do not trust a certificate.
const UNTRUSTED: [&str; 8] = [
    "certificate",
    "CERT_",
    "PKIX",
    "x509",
    "unable to verify",
    "SELF_SIGNED",
    "SSLHandshakeException",
    "trustAnchors",
];
/// Words by which they say that they know no such host: they have not asked the proxy.
const AROUND: [&str; 9] = [
    "Could not resolve host",
    "resolve host",
    "ENOTFOUND",
    "EAI_AGAIN",
    "Name or service not known",
    "name resolution",
    "no such host",
    "UnresolvedAddress",
    "nodename nor servname",
];

/// Judges a call that should have been answered to `name`; none when what it needs is not installed.
pub(super) fn judge(subject: &str, version: &str, name: &str, ended: &Ended) -> Option<Finding> {
    if ended.code == Some(ABSENT) {
        return None;
    }
    if ended.late {
        return Some(Finding::unchecked(CHECK, format!("{version}: it had not ended when its time was over")));
    }
    let introduced = serde_json::from_str::<serde_json::Value>(&ended.out).ok();
    let caller = introduced.as_ref().and_then(|who| who.get("caller")).and_then(serde_json::Value::as_str);
    // git reads no page: that there is no repository is what the proxy's own host answers it, and nobody else would.
    let not_found = format!("repository 'https://{OWN_HOST}/-/whoami/' not found");
    let is_answered = caller == Some(name) || subject == "git" && ended.error.contains(&not_found);
    Some(match caller {
        _ if is_answered => Finding::fine(CHECK, format!("{version} called through the proxy, as `{name}`")),
        Some(other) => Finding::problem(CHECK, format!("{version} called as `{other}` and not as `{name}`"))
            .mended_by("sidekey run -- env"),
        None => failed(subject, version, ended),
    })
}

fn failed(subject: &str, version: &str, ended: &Ended) -> Finding {
    let said = |words: &[&str]| words.iter().any(|word| ended.error.contains(word));
    let last = ended.last_error();
    if said(&["jdk.compiler"]) {
        return Finding::unchecked(CHECK, format!("{version} has no compiler, which the check needs: install a JDK"));
    }
    if said(&["407", "Proxy Authentication"]) && subject == "java" {
        let found = format!(
            "{version} takes no name and token from its options, and there is no `/proc/net/tcp` by which a port could be \
             opened for it: give them by an Authenticator in the program, or call the base URL"
        );
        return Finding::warning(CHECK, found).mended_by("sidekey service list");
    }
    if said(&UNTRUSTED) {
        let found = format!("{version} does not trust the authority: {last}");
        return Finding::problem(CHECK, found).mended_by("sidekey ca install --dry-run");
    }
    if said(&AROUND) {
        let found = format!("{version} called around the proxy: {last}");
        return Finding::problem(CHECK, found).mended_by("sidekey run -- env");
    }
    let code = ended.code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
    Finding::problem(CHECK, format!("{version} could not call through the proxy{code}: {last}"))
        .mended_by("sidekey run -- env")
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Verdict;
    use super::*;

    fn ended(code: i32, out: &str, error: &str) -> Ended {
        Ended { code: Some(code), late: false, out: out.to_owned(), error: error.to_owned() }
    }

    #[test]
    fn what_a_runtime_said_is_told_apart() {
        let who = r#"{"caller":"etl","owner":"local"}"#;
        let git = "fatal: repository 'https://sidekey.invalid/-/whoami/' not found";
        let table = [
            ("curl", ended(0, who, ""), Verdict::Fine, "through the proxy, as `etl`"),
            ("curl", ended(0, &who.replace("etl", "other"), ""), Verdict::Problem, "as `other`"),
            ("curl", ended(60, "", "curl: (60) SSL certificate problem"), Verdict::Problem, "does not trust"),
            ("curl", ended(6, "", "curl: (6) Could not resolve host: sidekey.invalid"), Verdict::Problem, "around"),
            ("curl", ended(7, "", "curl: (7) Failed to connect"), Verdict::Problem, "exit code 7"),
            ("git", ended(128, "", git), Verdict::Fine, "through the proxy"),
            ("git", ended(128, "", "fatal: unable to access: no"), Verdict::Problem, "could not call"),
            ("java", ended(1, "", "Error: jdk.compiler is missing"), Verdict::Unchecked, "JDK"),
            ("java", ended(1, "", "java.io.IOException: Unable to tunnel. 407"), Verdict::Warning, "Authenticator"),
            ("go", ended(1, "", "tls: failed to verify certificate: x509: unknown"), Verdict::Problem, "not trust"),
        ];
        for (subject, ended, verdict, words) in table {
            let finding = judge(subject, "It 1.0", "etl", &ended).unwrap();
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(words) && finding.found.starts_with("It 1.0"), "{finding:?}");
        }
        assert_eq!(judge("python-httpx", "It", "etl", &ended(3, "", "")), None, "its library is not installed");
        let late = Ended { late: true, ..Ended::default() };
        assert_eq!(judge("go", "It", "etl", &late).unwrap().verdict, Verdict::Unchecked);
    }
}
