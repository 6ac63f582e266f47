//! Keys that zones are signed with: their files, and the records that tell the world of them.
//!
//! One algorithm, ECDSA on P-256 with SHA-256 (13, RFC 6605): every validator knows it, its signatures are 64 octets, and
//! making one costs some 15 µs, so that answers can be signed while they are asked for. A key is a pair of files as BIND
//! has them, `….private` with the secret and `….key` with the DNSKEY record, so that other tools read ours and we read
//! theirs. Each key signs everything (flags 257): one kept apart for signing keys alone would lie beside the other on the
//! same disk.
//!
//! What cannot be used is refused by the name of its file, which is never quoted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::base::ToName as _;
use domain::base::iana::SecurityAlgorithm;
use domain::base::rdata::ComposeRecordData as _;
use domain::rdata::{Dnskey, ZoneRecordData};
use domain::utils::base64;
use domain::zonefile::inplace::{Entry, Zonefile};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::zones::wire;
use crate::config::DnsZone;

/// How long a DNSKEY and a DS of ours hold, s: a rollover waits for them.
pub(super) const KEY_TTL_S: u32 = 3_600;
/// ECDSAP256SHA256.
pub(super) const ALGORITHM: u8 = 13;
/// Octets of a signature.
pub(super) const SIGNATURE: usize = 64;
/// Zone key and secure entry point (RFC 4034 §2.1.1).
const FLAGS: u16 = 257;
/// SHA-256 (RFC 4509).
const DIGEST_TYPE: u8 = 2;
/// Octets of a secret.
const SECRET: usize = 32;
/// What comes before the 64 octets of a public key, and not in a DNSKEY: that both coordinates follow.
const UNCOMPRESSED: u8 = 4;

/// A key of a zone.
#[derive(Debug)]
pub struct ZoneKey {
    /// The zone's name: lower case, with the root's dot.
    zone: Box<str>,
    pair: EcdsaKeyPair,
    /// RDATA of its DNSKEY.
    dnskey: Box<[u8]>,
    tag: u16,
}

/// Those of all zones that have any, by apex.
#[derive(Debug, Default)]
pub struct ZoneKeys(HashMap<Box<str>, Arc<[ZoneKey]>>);

/// A pair of files to be.
pub struct NewKey {
    /// The name of both, without what comes after the last dot.
    pub stem: String,
    /// Content of `….private`, which nobody else may read.
    pub secret: String,
    /// Content of `….key`.
    pub public: String,
}

/// Why a key cannot be used. Never says what is in its file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// In the system's words.
        why: std::io::Error,
    },
    /// A file is not in the form of its kind.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The two files are not of one key.
    #[error("{} is not the secret of the key in {}", secret.display(), public.display())]
    Mismatch {
        /// `….private`.
        secret: PathBuf,
        /// `….key`.
        public: PathBuf,
    },
    /// The key is of another zone.
    #[error("{} is a key of {found}, not of {zone}", path.display())]
    OtherZone {
        /// Which file.
        path: PathBuf,
        /// Whose key it is.
        found: Box<str>,
        /// Whose it should be.
        zone: Box<str>,
    },
}

/// All that is wrong with the keys of a configuration.
#[derive(Debug)]
pub struct KeyErrors(Vec<KeyError>);

/// There is no key to be had: the machine gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("no random numbers for a key")]
pub struct NoChance;

// === impl ZoneKeys ===

impl ZoneKeys {
    /// Reads the keys of these zones.
    ///
    /// # Errors
    /// All that cannot be used.
    pub fn open(zones: &[DnsZone]) -> Result<Self, KeyErrors> {
        let (mut keys, mut errors) = (HashMap::new(), Vec::new());
        for zone in zones.iter().filter(|zone| !zone.keys.is_empty()) {
            let mut of_zone = Vec::new();
            for path in &zone.keys {
                match ZoneKey::open(path).and_then(|key| key.of(&zone.apex, path)) {
                    Ok(key) => of_zone.push(key),
                    Err(error) => errors.push(error),
                }
            }
            keys.insert(zone.apex.clone(), of_zone.into());
        }
        if errors.is_empty() { Ok(Self(keys)) } else { Err(KeyErrors(errors)) }
    }

    /// The key of RFC 6605 §6.1, whose secret everybody knows, for its zone, `example.net`.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_the_rfc() -> Self {
        let key = ZoneKey::parse(
            (Path::new("rfc6605.private"), SECRET_OF_RFC),
            (Path::new("rfc6605.key"), PUBLIC_OF_RFC),
        );
        Self(key.ok().map(|key| ("example.net".into(), Arc::from([key]))).into_iter().collect())
    }

    /// Those of a zone, the one that signs first; empty: it is not signed.
    #[must_use]
    pub fn of(&self, apex: &str) -> Arc<[ZoneKey]> {
        self.0.get(apex).cloned().unwrap_or_default()
    }
}

// === impl ZoneKey ===

impl ZoneKey {
    /// The key in a file `….private`, with the `….key` that lies beside it.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|why| KeyError::Unreadable { path: path.to_owned(), why })
        };
        let beside = path.with_extension("key");
        let (secret, public) = (read(path)?, read(&beside)?);
        Self::parse((path, &secret), (&beside, &public))
    }

    /// The key in these files: where they are, and what is in them.
    fn parse(secret: (&Path, &str), public: (&Path, &str)) -> Result<Self, KeyError> {
        let malformed = |path: &Path, why| KeyError::Malformed { path: path.to_owned(), why };
        let number = read_secret(secret.1).map_err(|why| malformed(secret.0, why))?;
        let (zone, point) = read_public(public.1).map_err(|why| malformed(public.0, why))?;
        let mismatch = || KeyError::Mismatch { secret: secret.0.to_owned(), public: public.0.to_owned() };
        Self::new(&zone, &number, &point).ok_or_else(mismatch)
    }

    /// `None`: the two are not of one key.
    fn new(zone: &str, secret: &[u8], public: &[u8]) -> Option<Self> {
        let whole: Vec<u8> = std::iter::once(UNCOMPRESSED).chain(public.iter().copied()).collect();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, &whole, &random).ok()?;
        let record = Dnskey::new(FLAGS, 3, SecurityAlgorithm::ECDSAP256SHA256, public).ok()?;
        let (tag, mut dnskey) = (record.key_tag(), Vec::new());
        record.compose_rdata(&mut dnskey).ok()?;
        Some(Self { zone: zone.into(), pair, dnskey: dnskey.into(), tag })
    }

    fn of(self, zone: &str, path: &Path) -> Result<Self, KeyError> {
        match self.zone.strip_suffix('.') == Some(zone) {
            true => Ok(self),
            false => Err(KeyError::OtherZone { path: path.to_owned(), found: self.zone, zone: zone.into() }),
        }
    }

    /// Draws a key for a zone: lower case, without the root's dot.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub fn draw(zone: &str) -> Result<NewKey, NoChance> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.map_err(|_| NoChance)?;
        // A template with two holes (RFC 5208 around RFC 5915). Were they elsewhere, the halves would not fit.
        let (secret, public) =
            document.as_ref().get(36..68).zip(document.as_ref().get(74..138)).ok_or(NoChance)?;
        let key = Self::new(&format!("{zone}."), secret, public).ok_or(NoChance)?;
        let secret = base64::encode_string(secret);
        Ok(NewKey {
            stem: format!("K{zone}.+{ALGORITHM:03}+{:05}", key.tag),
            secret: format!(
                "Private-key-format: v1.3\nAlgorithm: {ALGORITHM} (ECDSAP256SHA256)\nPrivateKey: {secret}\n"
            ),
            public: format!(
                "; Key {} of {zone}. Its DS for the parent zone:\n; {}\n{}\n",
                key.tag,
                key.ds_line(),
                key.line()
            ),
        })
    }

    /// Signs; `None`: the machine gives no random numbers.
    pub(super) fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE]> {
        let signature = self.pair.sign(&SystemRandom::new(), message).ok()?;
        signature.as_ref().try_into().ok()
    }

    /// RDATA of its DNSKEY.
    pub(super) fn dnskey(&self) -> &[u8] {
        &self.dnskey
    }

    /// What signatures tell it by (RFC 4034 appendix B); not always unique.
    pub(super) fn tag(&self) -> u16 {
        self.tag
    }

    /// RDATA of its DS (RFC 4034 §5.1): what the parent zone says of it.
    pub(super) fn ds(&self) -> Vec<u8> {
        let mut covered = wire(&self.zone).into_vec();
        covered.extend_from_slice(&self.dnskey);
        let mut data = self.tag.to_be_bytes().to_vec();
        data.extend_from_slice(&[ALGORITHM, DIGEST_TYPE]);
        data.extend_from_slice(digest::digest(&digest::SHA256, &covered).as_ref());
        data
    }

    /// Its DS as a line of a master file.
    #[must_use]
    pub fn ds_line(&self) -> String {
        let ds = self.ds();
        let mut line = format!("{} {KEY_TTL_S} IN DS {} {ALGORITHM} {DIGEST_TYPE} ", self.zone, self.tag);
        for octet in ds.iter().skip(4) {
            // Into a string, which takes everything.
            let _ = write!(line, "{octet:02X}");
        }
        line
    }

    /// Its DNSKEY as a line of a master file.
    #[must_use]
    pub fn line(&self) -> String {
        let public = base64::encode_string(self.dnskey.get(4..).unwrap_or_default());
        format!("{} {KEY_TTL_S} IN DNSKEY {FLAGS} 3 {ALGORITHM} {public}", self.zone)
    }
}

/// The secret of a `….private`: lines of `Name: value`.
fn read_secret(file: &str) -> Result<Vec<u8>, &'static str> {
    let value =
        |name: &str| file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if !value("Private-key-format").is_some_and(|version| version.starts_with("v1.")) {
        return Err("is no private key file: expected \"Private-key-format: v1.3\" at its head");
    }
    if value("Algorithm").and_then(|algorithm| algorithm.split(' ').next()) != Some("13") {
        return Err("is of an algorithm that is not supported: expected 13 (ECDSAP256SHA256)");
    }
    let secret: Vec<u8> = value("PrivateKey")
        .and_then(|text| base64::decode(text).ok())
        .ok_or("has no PrivateKey in base64")?;
    // Some write the number without zeros at its head.
    let missing = SECRET.checked_sub(secret.len()).ok_or("has a PrivateKey that is not 32 octets long")?;
    Ok([vec![0; missing], secret].concat())
}

/// Zone and public key of a `….key`: a master file with one DNSKEY record.
fn read_public(file: &str) -> Result<(String, Vec<u8>), &'static str> {
    let no_record = "is no master file with one DNSKEY record";
    let mut master = Zonefile::new();
    master.extend_from_slice(file.as_bytes());
    master.extend_from_slice(b"\n");
    let Ok(Some(Entry::Record(record))) = master.next_entry() else { return Err(no_record) };
    if !matches!(master.next_entry(), Ok(None)) {
        return Err(no_record);
    }
    let ZoneRecordData::Dnskey(key) = record.data() else { return Err(no_record) };
    if key.algorithm() != SecurityAlgorithm::ECDSAP256SHA256 || key.protocol() != 3 {
        return Err("is of an algorithm that is not supported: expected 13 (ECDSAP256SHA256)");
    }
    if key.flags() != FLAGS {
        return Err("is no key that signs all of its zone: expected flags 257 (dnssec-keygen -f KSK)");
    }
    let zone = record.owner().to_name::<Vec<u8>>().fmt_with_dot().to_string().to_ascii_lowercase();
    Ok((zone, key.public_key().as_ref().to_vec()))
}

// === impl KeyErrors ===

impl std::fmt::Display for KeyErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.0.iter().map(|error| format!("keys of zones: {error}")).collect();
        f.write_str(&all.join("; "))
    }
}

impl std::error::Error for KeyErrors {}

#[cfg(any(test, fuzzing))]
const SECRET_OF_RFC: &str = "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\n\
    PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=\n";
#[cfg(any(test, fuzzing))]
const PUBLIC_OF_RFC: &str = "example.net. 3600 IN DNSKEY 257 3 13 (\n\
    GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb\n\
    krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== )\n";

#[cfg(test)]
mod tests;
