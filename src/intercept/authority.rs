//! A certificate authority: making its certificate, and signing with its key. Where the key is kept is not its affair.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, DnValue, GeneralSubtree, IsCa, Issuer,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;

use super::{BACKDATED, MintError};
use crate::crypto::digest::{hex, sha256};
use crate::crypto::random;
use crate::crypto::signing::SigningKey;
use crate::domain::{Host, HostRange, OWN_HOST};

/// How long an authority is valid: whoever installs it does not want to do so every year.
const LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The certificate of an authority that was just made, to be kept with its key.
#[derive(Debug)]
pub struct Draft {
    /// Its name, which no other has.
    pub name: String,
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
}

/// An authority that can sign.
pub struct Authority {
    certificate: CertificateDer<'static>,
    fingerprint: [u8; 32],
    issuer: Issuer<'static, Signer>,
    hosts: Vec<HostRange>,
    signs_from: i64,
    expires_at: i64,
}

/// A key as rcgen wants it.
struct Signer(SigningKey);

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.public()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

impl Draft {
    /// The self-signed certificate of `key` at `now`, in Unix seconds. Verifiers refuse it for hosts outside of `hosts` (RFC
    /// 5280 §4.2.1.10); none admits every host.
    ///
    /// # Errors
    /// When a host cannot stand in a certificate, or there is no randomness.
    pub fn new(key: SigningKey, hosts: &[HostRange], now: i64) -> Result<Self, MintError> {
        let short: String = hex(&sha256(key.public())).chars().take(8).collect();
        let name = format!("sidekey CA {short}");
        let signer = Signer(key);
        let expires_at = now.saturating_add_unsigned(LIFE.as_secs());
        let mut params = describe(&name);
        params.serial_number = Some(serial()?);
        params.not_before = moment(now.saturating_sub_unsigned(BACKDATED.as_secs()));
        params.not_after = moment(expires_at);
        // It signs for hosts, not for other authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.name_constraints = constraints(hosts);
        let certificate = params.self_signed(&signer)?.der().to_vec();
        Ok(Self { name, certificate, expires_at })
    }
}

impl Authority {
    /// From what was kept of it.
    pub fn new(draft: Draft, key: SigningKey, hosts: Vec<HostRange>, signs_from: i64) -> Self {
        let fingerprint = sha256(&draft.certificate);
        let issuer = Issuer::new(describe(&draft.name), Signer(key));
        let Draft { certificate, expires_at, .. } = draft;
        Self { certificate: certificate.into(), fingerprint, issuer, hosts, signs_from, expires_at }
    }

    /// SHA-256 of its certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// From when on it signs, in Unix seconds.
    pub(super) fn signs_from(&self) -> i64 {
        self.signs_from
    }

    /// When its certificate ends.
    pub(super) fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Its certificate.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Whether it may vouch for `host`.
    pub fn admits(&self, host: &Host) -> bool {
        is_among(&self.hosts, host)
    }

    /// Signs `params` for `key`.
    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, MintError> {
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", hex(&self.fingerprint))
    }
}

/// Whether `host` is in one of `ranges`, of which none means all.
pub(super) fn is_among(ranges: &[HostRange], host: &Host) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.admits(host))
}

/// Which of some authorities, the oldest first, signs at `now`: the newest whose time has come. `from` tells that of each.
pub fn signing_at<T>(authorities: &[T], from: impl Fn(&T) -> i64, now: i64) -> Option<usize> {
    let due = authorities.iter().rposition(|authority| from(authority) <= now);
    due.or((!authorities.is_empty()).then_some(0))
}

/// A certificate as PEM (RFC 7468).
pub fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// What an authority and its certificates have in common: its name, and how its key is told from others.
fn describe(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.distinguished_name.push(DnType::OrganizationName, DnValue::Utf8String("sidekey".to_owned()));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A subject of this common name.
pub(super) fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    subject
}

/// A serial number that nobody can guess, positive and of 16 bytes (RFC 5280 §4.1.2.2).
pub(super) fn serial() -> Result<SerialNumber, MintError> {
    let mut bytes: [u8; 16] = random::bytes()?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// A moment as certificates have it.
pub(super) fn moment(at: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// What the authority may vouch for: `hosts`, and sidekey's own name, which no host has. Addresses are excluded as a whole
/// where none is permitted: else every one would be.
fn constraints(hosts: &[HostRange]) -> Option<NameConstraints> {
    if hosts.is_empty() {
        return None;
    }
    let subtree = |range: &HostRange| match range {
        HostRange::One(host) => match host.ip() {
            Some(ip) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, if ip.is_ipv4() { 32 } else { 128 }))
            }
            None => GeneralSubtree::DnsName(host.as_str().to_owned()),
        },
        HostRange::Below(rest) => GeneralSubtree::DnsName(rest.as_str().to_owned()),
    };
    let own = GeneralSubtree::DnsName(OWN_HOST.to_owned());
    let permitted_subtrees: Vec<_> = hosts.iter().map(subtree).chain([own]).collect();
    let mut excluded_subtrees = Vec::new();
    if !permitted_subtrees.iter().any(|tree| matches!(tree, GeneralSubtree::IpAddress(_))) {
        let whole = |ip: IpAddr| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, 0));
        excluded_subtrees.extend([whole(IpAddr::from([0_u8; 4])), whole(IpAddr::from([0_u8; 16]))]);
    }
    Some(NameConstraints { permitted_subtrees, excluded_subtrees })
}
