//! What opens, what must not, and what is no value.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::domain::{CredentialId, Fields, Sealed, Secret, ServiceName, UserId};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn fields(pairs: &[(&str, &[u8])]) -> Fields {
    Fields::new(pairs.iter().map(|(n, v)| (name(n), Secret::new(v.to_vec()))).collect())
}

fn value<'a>(fields: &'a Fields, field: &str) -> &'a [u8] {
    fields.get(field).unwrap().expose()
}

struct Place {
    credential: CredentialId,
    owner: UserId,
    service: ServiceName,
    version: u32,
}

impl Place {
    fn new(credential: &str, owner: &str, service: &str, version: u32) -> Self {
        Self { credential: CredentialId::new(credential), owner: UserId::new(owner), service: name(service), version }
    }

    fn context(&self) -> SealContext<'_> {
        SealContext { credential: &self.credential, owner: &self.owner, service: &self.service, version: self.version }
    }
}

fn master(id: u32) -> MasterKey {
    MasterKey::new(id, &[u8::try_from(id).unwrap(); 32]).unwrap()
}

#[test]
fn every_field_opens_where_it_was_sealed() {
    let place = Place::new("c1", "u1", "twilio", 1);
    let sealed = seal(&master(1), &place.context(), &fields(&[("sid", b"AC1"), ("token", b"t-canary")])).unwrap();
    let opened = open(&master(1), &place.context(), &sealed).unwrap();
    assert_eq!((value(&opened, "sid"), value(&opened, "token")), (&b"AC1"[..], &b"t-canary"[..]));
    let everything = sealed.fields.iter().map(|(_, bytes)| &**bytes).chain([&*sealed.wrapped_key]).collect::<Vec<_>>();
    assert!(everything.iter().all(|bytes| !bytes.windows(8).any(|w| w == b"t-canary")));
}

#[test]
fn ciphertext_moved_to_another_row_owner_service_or_version_does_not_open() {
    let here = Place::new("c1", "u1", "stripe", 1);
    let sealed = seal(&master(1), &here.context(), &fields(&[("key", b"v")])).unwrap();
    let elsewhere = [
        Place::new("c2", "u1", "stripe", 1),
        Place::new("c1", "u2", "stripe", 1),
        Place::new("c1", "u1", "stripf", 1),
        Place::new("c1", "u1", "stripe", 2),
        // The same letters, cut at other places.
        Place::new("c1u", "1", "stripe", 1),
        Place::new("c", "1u1", "stripe", 1),
    ];
    for place in &elsewhere {
        assert_eq!(open(&master(1), &place.context(), &sealed).unwrap_err(), SealError::Wrap);
    }
}

#[test]
fn fields_exchanged_within_or_between_versions_do_not_open() {
    let place = Place::new("c1", "u1", "twilio", 1);
    let one = seal(&master(1), &place.context(), &fields(&[("sid", b"a"), ("token", b"b")])).unwrap();
    let two = seal(&master(1), &place.context(), &fields(&[("sid", b"a"), ("token", b"b")])).unwrap();
    let mut swapped = one.clone();
    swapped.fields = vec![(name("sid"), one.fields[1].1.clone()), (name("token"), one.fields[0].1.clone())].into();
    let mut grafted = one.clone();
    grafted.fields[1].1 = two.fields[1].1.clone();
    let mut rekeyed = one.clone();
    rekeyed.wrapped_key = two.wrapped_key.clone();
    let error = |sealed: &Sealed| open(&master(1), &place.context(), sealed).unwrap_err();
    assert_eq!(error(&swapped), SealError::Field(name("sid")));
    assert_eq!(error(&grafted), SealError::Field(name("token")));
    assert_eq!(error(&rekeyed), SealError::Field(name("sid")));
}

#[test]
fn a_wrap_with_any_changed_byte_does_not_open_its_commitment_included() {
    let place = Place::new("c1", "u1", "stripe", 1);
    let sealed = seal(&master(1), &place.context(), &fields(&[("key", b"v")])).unwrap();
    for at in 0..sealed.wrapped_key.len() {
        let mut bent = sealed.clone();
        bent.wrapped_key[at] ^= 0x80;
        assert_eq!(open(&master(1), &place.context(), &bent).unwrap_err(), SealError::Wrap, "byte {at}");
        bent.wrapped_key = sealed.wrapped_key[..at].into();
        assert_eq!(open(&master(1), &place.context(), &bent).unwrap_err(), SealError::Wrap, "cut at {at}");
    }
}

#[test]
fn another_master_key_is_named_or_does_not_open() {
    let place = Place::new("c1", "u1", "stripe", 1);
    let sealed = seal(&master(1), &place.context(), &fields(&[("key", b"v")])).unwrap();
    let other = open(&master(2), &place.context(), &sealed).unwrap_err();
    assert_eq!(other, SealError::OtherMaster { sealed: 1, given: 2 });
    let impostor = MasterKey::new(1, &[9; 32]).unwrap();
    assert_eq!(open(&impostor, &place.context(), &sealed).unwrap_err(), SealError::Wrap);
    assert!(!impostor.is_checked_by(master(1).check()) && master(1).is_checked_by(master(1).check()));
}

#[test]
fn a_rewrapped_value_opens_with_the_new_master_key_only() {
    let place = Place::new("c1", "u1", "stripe", 1);
    let sealed = seal(&master(1), &place.context(), &fields(&[("key", b"v")])).unwrap();
    let moved = rewrap(&master(1), &master(2), &place.context(), &sealed).unwrap();
    assert_eq!(value(&open(&master(2), &place.context(), &moved).unwrap(), "key"), b"v");
    assert!(open(&master(1), &place.context(), &moved).is_err());
    assert_eq!(moved.fields, sealed.fields);
    let elsewhere = Place::new("c2", "u1", "stripe", 1);
    assert_eq!(rewrap(&master(1), &master(2), &elsewhere.context(), &sealed).unwrap_err(), SealError::Wrap);
}

#[test]
fn labelled_values_open_under_their_label_only() {
    let sealed = master(1).seal_labelled("ca", &Secret::new(b"pem\nlines".to_vec())).unwrap();
    assert_eq!(master(1).open_labelled("ca", &sealed).unwrap().expose(), b"pem\nlines");
    assert_eq!(master(1).open_labelled("cb", &sealed).unwrap_err(), SealError::Labelled("cb".into()));
    assert!(master(2).open_labelled("ca", &sealed).is_err());
}

#[test]
fn values_that_no_header_can_carry_are_refused_without_showing_them() {
    let long = vec![b'x'; MAX_LEN + 1];
    let table: [(&[u8], ValueError); 8] = [
        (b"", ValueError::Empty),
        (b"\n", ValueError::Empty),
        (&long, ValueError::TooLong),
        (b"canary\nx", ValueError::Control { what: "line break", at: 7, len: 8 }),
        (b"canary\n\n", ValueError::Control { what: "line break", at: 7, len: 7 }),
        (b"ca\0ry", ValueError::Control { what: "NUL byte", at: 3, len: 5 }),
        (b"canary\x7f", ValueError::Control { what: "control character", at: 7, len: 7 }),
        (b" canary", ValueError::OuterSpace),
    ];
    for (bytes, why) in table {
        let refused = clean(Zeroizing::new(bytes.to_vec())).unwrap_err();
        assert_eq!(refused, why);
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
    for (bytes, kept, trimmed) in [
        (&b"sk_live\n"[..], &b"sk_live"[..], true),
        (b"sk_live\r\n", b"sk_live", true),
        (b"a b", b"a b", false),
        (b"caf\xc3\xa9", b"caf\xc3\xa9", false),
    ] {
        let (secret, note) = clean(Zeroizing::new(bytes.to_vec())).unwrap();
        assert_eq!((secret.expose(), note), (kept, trimmed));
    }
    let place = Place::new("c1", "u1", "stripe", 1);
    let unfit = seal(&master(1), &place.context(), &fields(&[("key", b"a\r\nb")])).unwrap_err();
    assert!(matches!(unfit, SealError::Unfit(..)), "{unfit}");
}

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", master(3)), "MasterKey(3)");
}

proptest! {
    #[test]
    fn whatever_was_sealed_comes_back(
        values in proptest::collection::vec(proptest::collection::vec(0x21_u8..0x7f, 1..300), 0..4),
        version in any::<u32>(),
        owner in ".{0,80}",
    ) {
        let place = Place::new("c", &owner, "svc", version);
        let named: Vec<_> = values.iter().enumerate().map(|(i, v)| (name(&format!("f{i}")), Secret::new(v.clone()))).collect();
        let sealed = seal(&master(1), &place.context(), &Fields::new(named)).unwrap();
        let opened = open(&master(1), &place.context(), &sealed).unwrap();
        for (i, v) in values.iter().enumerate() {
            prop_assert_eq!(value(&opened, &format!("f{i}")), v.as_slice());
        }
    }
}
