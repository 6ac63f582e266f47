use super::*;

const NOW: u64 = 1_800_000_000;

fn key(secret: &str) -> SigningKey {
    SigningKey::new(secret.as_bytes()).unwrap()
}

fn signer(required: bool) -> Signer {
    Signer::new(vec![key("the key in force"), key("the one before it")], required).unwrap()
}

fn refusal(query: &str) -> String {
    let problem = signer(true).check(Some(query), NOW).unwrap_err();
    problem.reason().to_owned()
}

/// Computed by `openssl dgst -sha256 -hmac 'the key in force'` over the canonical form.
#[test]
fn a_signature_is_what_openssl_makes_of_the_canonical_form() {
    let canonical = canonical("stream=live%2Fx+y&domain=a.example&b=2&b=1&n=", Some("n"));
    assert_eq!(canonical, "b=1&b=2&domain=a.example&stream=live%2Fx%20y");
    let signed = key("the key in force").sign_query("domain=a.example", 1_800_000_060);
    assert_eq!(
        signed,
        "domain=a.example&exp=1800000060&sign=5390184bb640171b6575cd8443758035b65d75a24950b4f9353a704e93777fb4"
    );
}

#[test]
fn what_was_signed_passes_in_any_order_and_by_either_key() {
    for secret in ["the key in force", "the one before it"] {
        let signed = key(secret).sign_query("domain=a.example&stream=live/a%26n%3D8", NOW + 60);
        assert_eq!(signer(true).check(Some(&signed), NOW), Ok(()));
        let mut pairs: Vec<&str> = signed.split('&').collect();
        pairs.reverse();
        assert_eq!(signer(true).check(Some(&pairs.join("&")), NOW), Ok(()));
        assert_eq!(signer(true).check(Some(&signed.replace("live/a", "live%2fa")), NOW), Ok(()));
        let upper =
            signed.rsplit_once('=').map(|(rest, mac)| format!("{rest}={}", mac.to_uppercase())).unwrap();
        assert_eq!(signer(true).check(Some(&upper), NOW), Ok(()));
    }
}

#[test]
fn what_was_not_signed_is_refused_and_says_why() {
    let good = key("the key in force").sign_query("domain=a.example&stream=a%26n%3D8", NOW + 60);
    let not_ours = "is not the signature of this question";
    for (query, why) in [
        ("domain=a.example".to_owned(), "asks for a signature"),
        (String::new(), "asks for a signature"),
        (good.replace("a.example", "b.example"), not_ours),
        (good.replace("%26n%3D8", "&n=8"), not_ours),
        (format!("{good}&n=8"), not_ours),
        (good.replace(&format!("exp={}", NOW + 60), &format!("exp={}", NOW + 61)), not_ours),
        (good.replace("&exp=", "&ex="), "exp= is missing"),
        (good[..good.len() - 1].to_owned(), not_ours),
        (good.rsplit_once('=').unwrap().0.to_owned() + "=", not_ours),
        (good.rsplit_once('=').unwrap().0.to_owned() + "=zz", not_ours),
        (key("somebody else's key").sign_query("domain=a.example", NOW + 60), not_ours),
        (key("the key in force").sign_query("domain=a.example", NOW), "has expired"),
        (key("the key in force").sign_query("domain=a.example", NOW + 601), "more than 600 s ahead"),
    ] {
        assert!(refusal(&query).contains(why), "{query}: {}", refusal(&query));
    }
    let twice = signer(true).check(Some(&format!("{good}&sign=00")), NOW).unwrap_err();
    assert_eq!(twice.slug(), Slug::InvalidParameter);
}

#[test]
fn where_none_is_required_a_wrong_one_is_still_refused() {
    assert_eq!(signer(false).check(Some("domain=a.example"), NOW), Ok(()));
    assert!(signer(false).check(Some("domain=a.example&sign=00&exp=1"), NOW).is_err());
}

/// As a player would check it: from what the header says and what came.
#[test]
fn an_answer_is_bound_to_its_time_its_question_and_its_body() {
    let query = "domain=a.example&nonce=7f";
    let header = signer(false).answer(Some(query), b"{}", NOW);
    let text = header.to_str().unwrap();
    let mac = |time: u64, query: &str, body: &str| {
        let message = format!("nearcast answer v1\n{time}\n{query}\n{body}");
        hex(hmac::sign(&key("the key in force").key, message.as_bytes()).as_ref())
    };
    let id = key("the key in force").id;
    assert_eq!(text, format!("t={NOW},key={id},v1={}", mac(NOW, query, "{}")));
    assert_eq!((id.len(), id == key("the one before it").id), (8, false));
    for other in [mac(NOW + 1, query, "{}"), mac(NOW, "domain=a.example", "{}"), mac(NOW, query, "{ }")] {
        assert!(!text.contains(&other));
    }
}

#[test]
fn a_short_key_is_none() {
    assert!(SigningKey::new(b"  fifteen bytes..\n").is_none());
    assert!(SigningKey::new(b"  sixteen bytes...\n").is_some());
    assert!(Signer::new(Vec::new(), false).is_none());
}
