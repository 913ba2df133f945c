//! The certificate authority: whether there is one that signs, for how long, whether the proxy has the same, and which places
//! of this machine trust it.

use std::net::SocketAddr;

use crate::cli::ca::{PlaceTrusts, looked_at};
use crate::cli::local;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::config::ListenAddress;
use crate::operations::{AuthorityState, AuthorityView};

use super::finding::{Finding, Findings, Verdict};

const CHECK: &str = "authority";
/// How long before its end a new one should be made, in seconds: its overlap and time to have it trusted.
const SOON: i64 = 60 * 24 * 60 * 60;

/// Looks at the authorities that clients have to trust. Returns whether tunnels can be opened with them. `answering` is where the
/// proxy answers, if it does.
pub(super) fn examine(
    opened: &Opened,
    session: &Session,
    answering: Option<SocketAddr>,
    findings: &mut Findings,
) -> anyhow::Result<bool> {
    let mut authorities = opened.operations.authorities()?;
    authorities.retain(|authority| authority.state != AuthorityState::Replaced);
    let Some(signing) = authorities.first() else {
        findings.add(Finding::warning(CHECK, "there is none yet; the first start makes it").mended_by("sidekey up"));
        return Ok(false);
    };
    let listed: Vec<String> = opened.config.intercept.iter().map(ToString::to_string).collect();
    let finding = of_signing(signing, &listed, session.now());
    let usable = finding.verdict != Verdict::Problem;
    let own: String = authorities.iter().map(|one| one.certificate.as_str()).collect();
    let foreign = answering.and_then(|address| {
        let page = local::read(&ListenAddress::Tcp(address), "/-/ca.pem", None).ok()?;
        (page.text.trim() != own.trim()).then_some(address)
    });
    findings.add(match foreign {
        Some(address) => Finding::problem(
            CHECK,
            format!("what answers on {address} hands out another authority: it is the proxy of another store, or follows not yet"),
        )
        .mended_by("sidekey ca show"),
        None => finding,
    });
    if findings.wants("system_trust") {
        for place in looked_at(&opened.config, &authorities, session) {
            findings.add(of_place(&place, authorities.len()));
        }
    }
    Ok(usable)
}

fn of_signing(signing: &AuthorityView, listed: &[String], now: i64) -> Finding {
    let (ends, rotate) = (signing.expires_at.as_second(), "sidekey ca rotate");
    let until = format!("{} UTC", moment::shown(ends));
    if ends <= now {
        let found = format!("`{}` ended on {until}: nobody trusts it any more", signing.name);
        return Finding::problem(CHECK, found).mended_by(format!("{rotate} --now"));
    }
    if signing.created_at.as_second() > now.saturating_add(24 * 60 * 60) {
        let made = moment::shown(signing.created_at.as_second());
        return Finding::problem(CHECK, format!("`{}` was made on {made} UTC, which is to come", signing.name))
            .mended_by("timedatectl status");
    }
    if ends <= now.saturating_add(SOON) {
        return Finding::warning(CHECK, format!("`{}` ends on {until}", signing.name)).mended_by(rotate);
    }
    if signing.hosts != listed {
        let found = "[intercept] lists other hosts than the authority may vouch for".to_owned();
        return Finding::warning(CHECK, found).mended_by(rotate);
    }
    Finding::fine(CHECK, format!("`{}` signs, and is valid until {until}", signing.name))
}

fn of_place(place: &PlaceTrusts, of: usize) -> Finding {
    let (check, install) = ("system_trust", format!("sidekey ca install --to {}", place.place));
    let finding = match place.trusted {
        all if all == of => Finding::fine(check, "it trusts the authority"),
        0 if !place.former => Finding::fine(
            check,
            format!("it does not trust the authority, which `sidekey run` does without ({install})"),
        ),
        _ => Finding::warning(check, "it does not trust all that there is to trust: there was a rotation since")
            .mended_by(install),
    };
    finding.of(place.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn signing(hosts: &[&str]) -> AuthorityView {
        let at = |day: i64| jiff::Timestamp::from_second(day * DAY).unwrap();
        AuthorityView {
            name: "sidekey CA 1".to_owned(),
            state: AuthorityState::Signing,
            fingerprint: String::new(),
            created_at: at(1000),
            signs_from: at(1000),
            expires_at: at(4650),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            certificate: String::new(),
        }
    }

    #[test]
    fn an_authority_that_ends_or_has_not_begun_or_is_for_others_is_told() {
        let listed = ["api.test".to_owned()];
        for (day, hosts, verdict, mend) in [
            (1000, &["api.test"][..], Verdict::Fine, None),
            (4589, &["api.test"], Verdict::Fine, None),
            (4590, &["api.test"], Verdict::Warning, Some("sidekey ca rotate")),
            (4650, &["api.test"], Verdict::Problem, Some("sidekey ca rotate --now")),
            (990, &["api.test"], Verdict::Problem, Some("timedatectl status")),
            (1000, &[], Verdict::Warning, Some("sidekey ca rotate")),
        ] {
            let finding = of_signing(&signing(hosts), &listed, day * DAY);
            assert_eq!((finding.verdict, finding.mend.as_deref()), (verdict, mend), "{day} {hosts:?}");
        }
    }

    #[test]
    fn a_place_that_trusts_a_former_authority_alone_is_behind() {
        let place = |trusted, former| of_place(&PlaceTrusts { place: "debian", trusted, former }, 2).verdict;
        assert_eq!(
            [place(2, false), place(0, false), place(1, false), place(0, true)],
            [Verdict::Fine, Verdict::Fine, Verdict::Warning, Verdict::Warning]
        );
    }
}
