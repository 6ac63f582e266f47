use super::*;

/// The key of the RFC in two files of a folder.
fn files(secret: &str, public: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.private");
    std::fs::write(&path, secret).unwrap();
    std::fs::write(folder.path().join("a.key"), public).unwrap();
    (folder, path)
}

#[test]
fn the_key_of_the_rfc_has_the_ds_of_the_rfc() {
    let (_folder, path) = files(SECRET_OF_RFC, PUBLIC_OF_RFC);
    let key = ZoneKey::open(&path).unwrap();
    assert_eq!(
        key.ds_line().to_lowercase(),
        "example.net. 3600 in ds 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"
    );
    assert_eq!(
        key.line(),
        "example.net. 3600 IN DNSKEY 257 3 13 \
         GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="
    );
}

#[test]
fn a_drawn_key_is_read_again() {
    let drawn = ZoneKey::draw("live.example.com").unwrap();
    let (_folder, path) = files(&drawn.secret, &drawn.public);
    let key = ZoneKey::open(&path).unwrap();
    assert_eq!(drawn.stem, format!("Klive.example.com.+013+{:05}", key.tag()));
    assert!(drawn.public.contains(&key.ds_line()), "{}", drawn.public);
    assert_ne!(drawn.secret, ZoneKey::draw("live.example.com").unwrap().secret);
}

#[test]
fn what_cannot_be_used_is_named_by_its_file() {
    let other = ZoneKey::draw("example.net").unwrap();
    let table = [
        (
            SECRET_OF_RFC.replace("v1.2", "v2.0"),
            PUBLIC_OF_RFC.to_owned(),
            "a.private: is no private key file",
        ),
        (String::new(), PUBLIC_OF_RFC.to_owned(), "a.private: is no private key file"),
        (SECRET_OF_RFC.replace("13 (", "15 ("), PUBLIC_OF_RFC.to_owned(), "a.private: is of an algorithm"),
        (
            SECRET_OF_RFC.replace("PrivateKey: G", "PrivateKey: !"),
            PUBLIC_OF_RFC.to_owned(),
            "a.private: has no PrivateKey",
        ),
        (
            SECRET_OF_RFC.replace("PrivateKey: ", "PrivateKey: AAAA"),
            PUBLIC_OF_RFC.to_owned(),
            "not 32 octets",
        ),
        (SECRET_OF_RFC.to_owned(), PUBLIC_OF_RFC.replace("257", "256"), "a.key: is no key that signs all"),
        (SECRET_OF_RFC.to_owned(), PUBLIC_OF_RFC.replace("3 13", "3 15"), "a.key: is of an algorithm"),
        (
            SECRET_OF_RFC.to_owned(),
            PUBLIC_OF_RFC.replace("DNSKEY", "TXT"),
            "a.key: is no master file with one DNSKEY",
        ),
        (
            SECRET_OF_RFC.to_owned(),
            format!("{PUBLIC_OF_RFC}{PUBLIC_OF_RFC}"),
            "a.key: is no master file with one",
        ),
        (SECRET_OF_RFC.to_owned(), String::new(), "a.key: is no master file with one"),
        (other.secret, PUBLIC_OF_RFC.to_owned(), "a.private is not the secret of the key in"),
    ];
    for (secret, public, expected) in table {
        let (_folder, path) = files(&secret, &public);
        let error = ZoneKey::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("GU6SnQ"), "{error}");
    }
    let (folder, path) = files(SECRET_OF_RFC, PUBLIC_OF_RFC);
    std::fs::remove_file(folder.path().join("a.key")).unwrap();
    let error = ZoneKey::open(&path).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && error.contains("a.key"), "{error}");
}

#[test]
fn all_keys_that_cannot_be_used_are_told_at_once() {
    let (folder, path) = files(SECRET_OF_RFC, PUBLIC_OF_RFC);
    let text = format!(
        "pools = [{{ name = \"edges\" }}]\ndomains = [{{ name = \"a.example\", pool = \"edges\" }}]\n\
         nodes = [{{ id = \"a\", pool = \"edges\", addresses = [\"192.0.2.1\"] }}]\n\
         [dns]\nlisten = \"127.0.0.1:0\"\n\
         [[dns.zones]]\napex = \"example.com\"\nns = [\"ns.example.org\"]\nkeys = [\"{}\", \"{}\"]\n",
        path.display(),
        folder.path().join("b.private").display(),
    );
    let zones = crate::config::Config::parse(&text, "test").unwrap().dns.unwrap().zones;
    let error = ZoneKeys::open(&zones).unwrap_err().to_string();
    assert!(error.contains("a.private is a key of example.net., not of example.com"), "{error}");
    assert!(error.contains("cannot read") && error.contains("b.private"), "{error}");
}
