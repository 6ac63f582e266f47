use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A certificate for `localhost` in files of a folder.
struct Files {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { folder, certificate, key }
    }

    fn load(&self) -> Result<Certificate, CertificateError> {
        Certificate::load(&self.certificate, &self.key)
    }
}

#[test]
fn a_certificate_knows_its_end() {
    // What rcgen gives a certificate that asks for nothing: the year 4096.
    assert_eq!(Files::new().load().unwrap().not_after(), 67_090_118_400);
}

#[test]
fn what_cannot_be_shown_is_refused_by_the_name_of_its_file() {
    let files = Files::new();
    let refusal =
        |certificate: &PathBuf, key: &PathBuf| Certificate::load(certificate, key).unwrap_err().to_string();
    let stranger = Files::new();
    let message = refusal(&files.certificate, &stranger.key);
    assert!(message.contains("a.crt") && message.contains("do not fit each other"), "{message}");
    // Each in the other's place.
    let message = refusal(&files.key, &files.key);
    assert!(
        message.starts_with("server.tls.certificate: ") && message.contains("a.key has no cert"),
        "{message}"
    );
    let message = refusal(&files.certificate, &files.certificate);
    assert!(message.starts_with("server.tls.key: ") && message.contains("has no private key"), "{message}");
    let nowhere = files.folder.path().join("nowhere");
    assert!(refusal(&nowhere, &files.key).contains("cannot read"), "{}", refusal(&nowhere, &files.key));
    let broken = files.folder.path().join("broken.crt");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(
        refusal(&broken, &files.key).contains("cannot be understood"),
        "{}",
        refusal(&broken, &files.key)
    );
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAA").unwrap();
    let message = refusal(&broken, &files.key);
    assert!(message.contains("broken.crt"), "{message}");
}

#[test]
fn the_key_is_in_no_message() {
    let files = Files::new();
    let text = std::fs::read_to_string(&files.key).unwrap();
    let secret = text.lines().nth(1).unwrap();
    std::fs::write(&files.key, text.replace("PRIVATE KEY", "PUBLIC KEY")).unwrap();
    let error = files.load().unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error:?}");
}
