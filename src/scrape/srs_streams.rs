//! SRS's list of streams (`/api/v1/streams/?count=…` of its HTTP API), one more page beside the exporters.
//!
//! It tells what no counter does: how many viewers each stream has and what one of them needs. An edge pulls a
//! stream once, so what it receives of it is what each viewer should get. Facts from SRS `srs_app_statistic.cpp`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::schedule::affinity;
use crate::schedule::reading::{ProbeFailure, PublishedList, Reading, StreamReading};

/// What a player's URL adds to a stream's name; an edge that is asked over HTTP lists "livestream.flv".
const EXTENSIONS: [&str; 5] = [".flv", ".m3u8", ".ts", ".aac", ".mp3"];

/// Clients or kbit/s of one stream beyond which a number is a mistake. Without a bound, two that are finite add up to
/// one that is not, and one such node would spoil what the whole fleet learns of a stream.
const BEYOND: f64 = 1e9;

/// An answer of the API.
#[derive(Deserialize)]
struct Answer<'a> {
    code: i64,
    #[serde(borrow, default)]
    server: Cow<'a, str>,
    #[serde(borrow, default)]
    service: Cow<'a, str>,
    #[serde(borrow, default)]
    pid: Cow<'a, str>,
    #[serde(borrow)]
    streams: Option<Vec<Stream<'a>>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    /// "/live/livestream", or with its vhost in front.
    #[serde(borrow)]
    url: Cow<'a, str>,
    /// Viewers, and the publisher where it is published; which of them is not told.
    clients: f64,
    kbps: Kbps,
    #[serde(borrow, default)]
    app: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default)]
    publish: Publish,
}

#[derive(Default, Deserialize)]
struct Publish {
    #[serde(default)]
    active: bool,
}

#[derive(Deserialize)]
struct Kbps {
    /// Mean of the last 30 s, kbit/s; 0 for as long after it began.
    recv_30s: f64,
}

/// The streams on a page; `None`: it is no answer of the API. A stream that has received nothing yet is left out,
/// because what its viewers need is not known. `published`: what is published is told, too, as a list of so many at most.
pub(super) fn read(page: &[u8], published: Option<usize>) -> Result<Option<Reading>, ProbeFailure> {
    if page.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let answer: Answer<'_> = match serde_json::from_slice(page) {
        Ok(answer) => answer,
        Err(error) if memchr::memmem::find(page, b"\"streams\"").is_some() => {
            return Err(ProbeFailure::Parse(format!("list of streams: {error}")));
        }
        Err(_) => return Ok(None),
    };
    if answer.code != 0 {
        return Err(ProbeFailure::Parse(format!("the media server's API answers code {}", answer.code)));
    }
    let Some(list) = answer.streams else { return Ok(None) };
    let published = published.map(|most| PublishedList {
        identity: [answer.server, answer.service, answer.pid].map(Into::into),
        streams: list.iter().filter(|stream| stream.publish.active).filter_map(Stream::parts).collect(),
        complete: list.len() < most,
    });
    let mut streams: Vec<StreamReading> = Vec::with_capacity(list.len());
    for stream in &list {
        if let Some(fault) = fault(stream) {
            return Err(ProbeFailure::Parse(format!("list of streams: {} has {fault}", stream.url)));
        }
        if let Some(key) = key(&stream.url).filter(|_| stream.kbps.recv_30s > 0.0) {
            streams.push(StreamReading { key, clients: stream.clients, kbps: stream.kbps.recv_30s });
        }
    }
    Ok(Some(Reading { streams: merged(streams), published, ..Reading::default() }))
}

// === impl Stream ===

impl Stream<'_> {
    /// Vhost, app and name. The vhost stands in front of the URL where it is not the default one; its own member is an
    /// id that changes.
    fn parts(&self) -> Option<[Box<str>; 3]> {
        let vhost = self.url.strip_suffix(&*self.name)?.strip_suffix('/')?.strip_suffix(&*self.app)?;
        let vhost = vhost.strip_suffix('/')?;
        let whole = !self.app.is_empty() && !self.name.is_empty();
        whole.then(|| [vhost.into(), (&*self.app).into(), (&*self.name).into()])
    }
}

/// What a stream cannot have.
fn fault(stream: &Stream<'_>) -> Option<&'static str> {
    let numbers = [stream.clients, stream.kbps.recv_30s];
    if numbers.iter().any(|number| *number < 0.0) {
        Some("less than nothing")
    } else if numbers.iter().any(|number| *number > BEYOND) {
        Some("more than any machine could")
    } else {
        None
    }
}

/// [`affinity::hash`] of "app/name", as players write it in `stream=`.
fn key(url: &str) -> Option<u64> {
    let path = url.trim_start_matches('/');
    let path = EXTENSIONS.iter().find_map(|extension| path.strip_suffix(extension)).unwrap_or(path);
    let (before, name) = path.rsplit_once('/')?;
    let app = before.rsplit_once('/').map_or(before, |(_, app)| app);
    let whole = !app.is_empty() && !name.is_empty();
    // The two are neighbours in `path`: no need to put them together anew.
    whole.then(|| affinity::hash(&path.as_bytes()[path.len() - name.len() - 1 - app.len()..]))
}

/// One entry for each key: the same stream may be listed by vhost, or with and without extension.
fn merged(mut streams: Vec<StreamReading>) -> Vec<StreamReading> {
    streams.sort_unstable_by_key(|stream| stream.key);
    streams.dedup_by(|next, kept| {
        let same = next.key == kept.key;
        if same {
            kept.clients += next.clients;
            kept.kbps = kept.kbps.max(next.kbps);
        }
        same
    });
    streams
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::reader::{self, Focus, Shown};

    const EDGE: &str = include_str!("../../tests/fixtures/exporters/srs_streams_edge.json");
    const ORIGIN: &str = include_str!("../../tests/fixtures/exporters/srs_streams_origin.json");

    fn page(streams: &str) -> String {
        format!("{{\"code\":0,\"server\":\"vid-1\",\"streams\":[{streams}]}}")
    }

    fn stream(url: &str, clients: i32, kbps: i32) -> String {
        format!("{{\"url\":\"{url}\",\"clients\":{clients},\"kbps\":{{\"recv_30s\":{kbps},\"send_30s\":9}}}}")
    }

    #[track_caller]
    fn streams(page: &str) -> Vec<StreamReading> {
        read(page.as_bytes(), None).unwrap().unwrap().streams
    }

    #[test]
    fn the_lists_of_a_real_server_are_read() {
        let key = affinity::hash(b"live/livestream");
        assert_eq!(streams(ORIGIN), [StreamReading { key, clients: 4.0, kbps: 485.0 }]);
        assert_eq!(streams(EDGE), [], "nothing received yet");
        assert_eq!(streams(&EDGE.replace("\"recv_30s\": 0", "\"recv_30s\": 7"))[0].key, key);
    }

    #[track_caller]
    fn published(page: &str, most: usize) -> PublishedList {
        read(page.as_bytes(), Some(most)).unwrap().unwrap().published.unwrap()
    }

    #[test]
    fn what_is_published_on_an_origin_is_told_with_who_says_so() {
        let list = published(ORIGIN, 10);
        assert_eq!(list.streams, [["", "live", "livestream"].map(Into::into)]);
        assert!(list.identity.iter().all(|part| !part.is_empty()) && list.complete);
        assert!(!published(ORIGIN, 1).complete, "there may be more");
        assert_eq!(
            published(&ORIGIN.replace("\"active\": true", "\"active\": false"), 10).streams,
            [[""; 3]; 0].map(|none| none.map(Into::into))
        );
        assert_eq!(read(ORIGIN.as_bytes(), None).unwrap().unwrap().published, None, "nobody asks");
        let named = |url: &str| {
            format!(
                "{{\"url\":\"{url}\",\"app\":\"live\",\"name\":\"a\",\"clients\":1,\"publish\":{{\"active\":true}},\"kbps\":{{\"recv_30s\":1}}}}"
            )
        };
        let vhosts = page(&["/live/a", "v.example.com/live/a", "a", "/other/a"].map(named).join(","));
        let expected = [["", "live", "a"], ["v.example.com", "live", "a"]].map(|parts| parts.map(Into::into));
        assert_eq!(published(&vhosts, 10).streams, expected);
    }

    #[test]
    fn such_a_page_tells_streams_and_nothing_else() {
        let page = reader::read(ORIGIN.as_bytes(), &Focus::default()).unwrap();
        assert_eq!(page.shown, Shown::default(), "nothing to ask for by collector");
        let alone = Reading { streams: page.reading.streams.clone(), ..Reading::default() };
        assert_eq!(page.reading, alone);
    }

    #[test]
    fn a_key_is_app_and_name_however_the_url_is_written() {
        let expected = affinity::hash(b"live/show");
        for url in
            ["/live/show", "live/show", "v.example.com/live/show", "/live/show.flv", "/v/live/show.m3u8"]
        {
            assert_eq!(key(url), Some(expected), "{url}");
        }
        assert_eq!(key("/live/show.1"), Some(affinity::hash(b"live/show.1")));
        for url in ["", "/", "/show", "live/", "a//", "a//b"] {
            assert_eq!(key(url), None, "{url}");
        }
    }

    #[test]
    fn a_stream_listed_twice_is_one() {
        let twice = page(&[stream("/live/a", 3, 900), stream("/v/live/a", 4, 1000)].join(","));
        let once = StreamReading { key: affinity::hash(b"live/a"), clients: 7.0, kbps: 1000.0 };
        assert_eq!(streams(&twice), [once]);
        assert_eq!(streams(&page("")), []);
    }

    #[track_caller]
    fn check_failure(page: &str, expected: &str) {
        let failure = reader::read(page.as_bytes(), &Focus::default()).unwrap_err();
        assert_eq!((failure.label(), &*failure.to_string()), ("parse", expected), "{page}");
    }

    #[test]
    fn what_is_not_such_a_list_is_refused_by_name() {
        check_failure("{\"code\":2048,\"streams\":[]}", "parse: the media server's API answers code 2048");
        check_failure("{\"code\":0,\"server\":\"vid-1\"}", "parse: page is JSON, not exposition text");
        check_failure("{\"code\":\"no\"}", "parse: page is JSON, not exposition text");
        check_failure(
            &page(&stream("/live/a", -1, 5)),
            "parse: list of streams: /live/a has less than nothing",
        );
        let more = "parse: list of streams: /live/a has more than any machine could";
        let huge = page(&stream("/live/a", 1, 5));
        check_failure(&huge.replace("\"clients\":1", "\"clients\":1e308"), more);
        check_failure(&huge.replace("\"recv_30s\":5", "\"recv_30s\":1e10"), more);
        let cut = &ORIGIN[..ORIGIN.len() / 2];
        let failure = read(cut.as_bytes(), None).unwrap_err().to_string();
        assert!(failure.starts_with("parse: list of streams: EOF while parsing"), "{failure}");
    }
}
