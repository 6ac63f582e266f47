//! `/dns-query` against the contract; what real clients make of it stands in `tests/blackbox/doh.rs`.

use domain::base::Message;

use super::contract::{contract, keeps_the_contract};
use super::{PROXY, STRANGER, by_router, front, request};
use crate::http::Side;

/// Replies to `live.example.com A` with one address, which is the client's own.
fn echo(query: &[u8], client: std::net::IpAddr, out: &mut Vec<u8>) {
    assert!(Message::from_slice(query).is_ok_and(|query| !query.header().qr()));
    let std::net::IpAddr::V4(client) = client else { panic!("{client}") };
    out.extend_from_slice(b"\0\0\x85\0\0\x01\0\x01\0\0\0\0\x04live\x07example\x03com\0\0\x01\0\x01");
    out.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04");
    out.extend_from_slice(&client.octets());
}

#[tokio::test]
async fn every_answer_keeps_the_contract_and_the_client_is_who_the_rule_says() {
    let contract = contract();
    let responses = &contract["paths"]["/dns-query"]["get"]["responses"];
    for (is_on, query, status) in [
        (true, "name=live.example.com", 200),
        (true, "name=live.example.com&type=AAAA&edns_client_subnet=198.51.100.0/24", 200),
        (true, "", 400),
        (true, "dns=AAAA", 400),
        (false, "name=live.example.com", 404),
        (false, "dns=AAAA", 404),
    ] {
        let front = front();
        if is_on {
            front.answer_names_by(Box::new(echo));
        }
        for method in ["GET", "HEAD"] {
            let mut asked = request(method, &format!("/dns-query?{query}"));
            asked.headers_mut().insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
            let answer = by_router(&front, Side::Player, PROXY, asked).await;
            assert_eq!(answer.status, status, "{method} {query}: {answer:?}");
            if method == "GET" {
                keeps_the_contract(&contract, responses, &answer, query);
            }
        }
    }
    let front = front();
    front.answer_names_by(Box::new(echo));
    for (peer, client) in [(PROXY, "192.0.2.7"), (STRANGER, "198.51.100.23")] {
        let mut asked = request("GET", "/dns-query?name=live.example.com");
        asked.headers_mut().insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
        let answer = by_router(&front, Side::Player, peer, asked).await;
        assert_eq!(answer.json()["Answer"][0]["data"], client);
        assert_eq!(answer.header("cache-control"), "private, max-age=9");
    }
}
