//! Published vectors, round trips, and what must not open.

use super::kdf::Argon2Cost;
use super::*;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn sha256_agrees_with_its_published_vectors_whole_and_in_pieces() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest::hex(&digest::sha256(b"abc")), abc);
    let mut pieces = digest::Sha256::new();
    pieces.update(b"a");
    pieces.update(b"bc");
    assert_eq!(pieces.finish(), digest::sha256(b"abc"));
    assert_eq!(digest::from_hex(abc), Some(digest::sha256(b"abc")));
    for bad in ["", "zz", &abc[1..], &abc.to_uppercase(), &format!("{abc}00")] {
        assert_eq!(digest::from_hex(bad), None, "{bad}");
    }
}

#[test]
fn gcm_opens_a_published_vector() {
    // Test case 16 of the GCM specification: 256-bit key, 20 bytes of additional data.
    let key = unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let nonce = unhex("cafebabefacedbaddecaf888");
    let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
    let tag = "76fc6ece0f4e1768cddf8853bb2d551b";
    let sealed: Vec<u8> = [nonce, unhex(cipher), unhex(tag)].concat();
    let key = aead::Key::new(&key.try_into().unwrap()).unwrap();
    assert_eq!(key.open(&aad, &sealed).unwrap(), unhex(plain));
}

#[test]
fn sealed_bytes_open_only_with_their_key_and_their_additional_data() {
    let key = aead::Key::new(&[7; 32]).unwrap();
    let other = aead::Key::new(&[8; 32]).unwrap();
    let sealed = key.seal(b"here", b"value").unwrap();
    assert_eq!(sealed.len(), 5 + aead::OVERHEAD);
    assert_eq!(key.open(b"here", &sealed).unwrap(), b"value");
    assert_eq!(key.open(b"there", &sealed), Err(CryptoError::Forged));
    assert_eq!(other.open(b"here", &sealed), Err(CryptoError::Forged));
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 1;
        assert_eq!(key.open(b"here", &bent), Err(CryptoError::Forged), "byte {at}");
        assert_eq!(key.open(b"here", &sealed[..at]), Err(CryptoError::Forged), "cut at {at}");
    }
}

#[test]
fn two_sealings_of_the_same_bytes_differ() {
    let key = aead::Key::new(&[7; 32]).unwrap();
    assert_ne!(key.seal(b"", b"value").unwrap(), key.seal(b"", b"value").unwrap());
}

#[test]
fn hkdf_expands_as_rfc_5869_says() {
    // Appendix A.1: the pseudo-random key, the info and the first 32 bytes of the output.
    let prk = unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let out = kdf::hkdf(&prk.try_into().unwrap(), &unhex("f0f1f2f3f4f5f6f7f8f9")).unwrap();
    assert_eq!(digest::hex(out.as_slice()), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

#[test]
fn argon2id_depends_on_passphrase_salt_and_cost() {
    let cost = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let key = |passphrase: &[u8], salt: &[u8], cost| *kdf::argon2id(passphrase, salt, cost).unwrap();
    let first = key(b"correct", b"saltsalt", cost);
    assert_eq!(first, key(b"correct", b"saltsalt", cost));
    assert_ne!(first, key(b"wrong", b"saltsalt", cost));
    assert_ne!(first, key(b"correct", b"saltsal2", cost));
    assert_ne!(first, key(b"correct", b"saltsalt", Argon2Cost { passes: 2, ..cost }));
    assert_eq!(kdf::argon2id(b"x", b"short", cost), Err(CryptoError::OutOfRange));
    assert_eq!(kdf::argon2id(b"x", b"saltsalt", Argon2Cost { memory_kib: 1, ..cost }), Err(CryptoError::OutOfRange));
}

#[test]
fn comparison_sees_content_and_length() {
    assert!(compare::equal(b"same", b"same"));
    assert!(!compare::equal(b"same", b"sama"));
    assert!(!compare::equal(b"same", b"sam"));
}

#[test]
fn random_bytes_do_not_repeat() {
    assert_ne!(random::bytes::<32>().unwrap(), random::bytes::<32>().unwrap());
}

/// RFC 4231, test cases 2 and 6.
#[test]
fn signatures_are_those_of_the_standard() {
    let signed = |key: &[u8], parts: &[&[u8]]| digest::hex(&hmac::sha256(key, parts));
    let jefe = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(signed(b"Jefe", &[b"what do ya want for nothing?"]), jefe);
    assert_eq!(signed(b"Jefe", &[b"what do ya ", b"", b"want for nothing?"]), jefe);
    let long = signed(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
    assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

#[test]
fn a_signature_is_its_keys_over_its_message_alone() {
    let pkcs8 = signing::SigningKey::generate().unwrap();
    let key = signing::SigningKey::from_pkcs8(&pkcs8).unwrap();
    let holds = |signature: &[u8], message: &[u8]| {
        let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1;
        ring::signature::UnparsedPublicKey::new(algorithm, key.public()).verify(message, signature).is_ok()
    };
    let signature = key.sign(b"message").unwrap();
    assert!(holds(&signature, b"message") && !holds(&signature, b"another"));
    let other = signing::SigningKey::from_pkcs8(&signing::SigningKey::generate().unwrap()).unwrap();
    assert!(!holds(&other.sign(b"message").unwrap(), b"message"));
    assert_eq!(signing::SigningKey::from_pkcs8(b"no key").unwrap_err(), CryptoError::OutOfRange);
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
}
