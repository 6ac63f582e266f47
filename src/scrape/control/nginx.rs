//! nginx-rtmp: its page of statistics (`rtmp_stat all`), and orders to its control module (`rtmp_control all`).
//!
//! Facts from `ngx_rtmp_stat_module.c` and `ngx_rtmp_control_module.c`. The page is XML that the module writes tag by tag;
//! only the few tags that are wanted are looked at, and what stands in none of them is passed over.

use reqwest::Url;

use super::CLIENT_IDS;
use crate::state::eviction::Client;

/// Longest name of an application or stream, bytes.
const LONGEST_NAME: usize = 256;

/// The clients of all live streams on a page; `None`: it is not such a page.
pub(super) fn clients(page: &str) -> Option<Vec<Client>> {
    let body = page.get(page.find("<rtmp>")?..)?;
    let mut clients = Vec::new();
    for application in sections(body, "application") {
        let live = sections(application, "live").next().unwrap_or_default();
        let Some(app) = text(application, "name").filter(|name| is_name(name)) else { continue };
        for stream in sections(live, "stream") {
            let Some(name) = text(stream, "name").filter(|name| is_name(name)) else { continue };
            clients.extend(sections(stream, "client").filter_map(|client| read(app, name, client)));
        }
    }
    Some(clients)
}

/// Where to send the order that a client go; `None`: its id is not one of [`clients`].
pub(super) fn order(base: &str, id: &str) -> Option<Url> {
    let (names, number) = id.rsplit_once('/')?;
    let (app, name) = names.split_once('/')?;
    let mut url = Url::parse(&format!("{base}/control/drop/client")).ok()?;
    url.query_pairs_mut().append_pair("app", app).append_pair("name", name).append_pair("clientid", number);
    Some(url)
}

fn read(app: &str, name: &str, client: &str) -> Option<Client> {
    let number = text(client, "id").filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))?;
    let ms: f64 = text(client, "time")?.parse().ok()?;
    Some(Client {
        id: format!("{app}/{name}/{number}").into(),
        ip: text(client, "address").and_then(|ip| ip.parse().ok()),
        publishes: client.contains("<publishing/>"),
        alive_s: ms / 1000.0,
    })
}

/// A name that stands on the page as it is, and whose id is split where it was put together.
fn is_name(name: &str) -> bool {
    let has_odd = name.contains(['&', '<', '>', CLIENT_IDS]) || name.chars().any(char::is_control);
    !name.is_empty() && name.len() <= LONGEST_NAME && !has_odd
}

/// What stands in a tag that has no tags in it.
fn text<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    sections(xml, tag).next().filter(|text| !text.contains('<'))
}

/// What stands between each `<tag>` and the next `</tag>`; the tags that are asked for do not nest.
fn sections<'a>(xml: &'a str, tag: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let (opening, closing) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&*opening)?;
        let (within, after) = after.split_once(&*closing)?;
        rest = after;
        Some(within)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<rtmp>\n<nginx_version>1.22.1</nginx_version>\n\
        <server>\n<application>\n<name>live</name>\n<live>\n<stream>\n<name>show</name>\n<time>90000</time>\
        <client><id>7</id><address>198.51.100.7</address><time>5000</time><flashver>LNX 9</flashver><dropped>0</dropped>\
        <active/></client>\n<client><id>3</id><address>127.0.0.1</address><time>90000</time><publishing/><active/></client>\n\
        <meta><video><width>1280</width></video></meta>\n<nclients>2</nclients>\n<publishing/>\n</stream>\n\
        <stream>\n<name>a&amp;b</name>\n<client><id>9</id><time>1</time></client></stream>\n\
        <nclients>3</nclients>\n</live>\n</application>\n</server>\n</rtmp>\n";

    #[test]
    fn viewers_and_publishers_of_live_streams_are_read() {
        let clients = clients(PAGE).unwrap();
        let viewer = Client {
            id: "live/show/7".into(),
            ip: "198.51.100.7".parse().ok(),
            publishes: false,
            alive_s: 5.0,
        };
        assert_eq!((clients.len(), &clients[0]), (2, &viewer), "a name that is escaped is passed over");
        assert!(clients[1].publishes);
        assert_eq!(super::clients("<html><body>404</body></html>"), None);
    }

    #[test]
    fn an_order_names_application_stream_and_connection() {
        let order = |id| order("http://10.0.0.1:8080", id).map(String::from);
        let expected = "http://10.0.0.1:8080/control/drop/client?app=live&name=show&clientid=7";
        assert_eq!(order("live/show/7").as_deref(), Some(expected));
        assert_eq!(order("135y8m5q"), None, "an SRS client's");
    }

    #[test]
    fn no_cut_of_a_page_makes_a_panic() {
        for end in 0..PAGE.len() {
            let _ = clients(&PAGE[..end]);
        }
    }
}
