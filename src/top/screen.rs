//! The screen: a line of numbers, the table, a line of keys.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::fleet::{Listing, Node};

/// Cells of a pressure bar; the limit is at eight of ten.
const BAR: usize = 10;

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What needs attention.
    Need,
    Pressure,
    Viewers,
    Name,
}

/// What is shown.
pub(super) struct Screen {
    url: String,
    nodes: Vec<Node>,
    order: Order,
    skipped: usize,
    complaint: Option<String>,
}

// === impl Screen ===

impl Screen {
    pub(super) fn new(url: &str, listing: Listing) -> Self {
        let mut screen =
            Self { url: url.to_owned(), nodes: Vec::new(), order: Order::Need, skipped: 0, complaint: None };
        screen.show(listing);
        screen
    }

    /// Takes in another look.
    pub(super) fn show(&mut self, listing: Listing) {
        self.nodes = listing.nodes;
        self.complaint = None;
        self.sort();
    }

    /// The last look failed: what is shown is old.
    pub(super) fn complain(&mut self, complaint: &str) {
        self.complaint = Some(complaint.to_owned());
    }

    pub(super) fn sort_next(&mut self) {
        self.order = self.order.next();
        self.skipped = 0;
        self.sort();
    }

    pub(super) fn scroll_up(&mut self, rows: usize) {
        self.skipped = self.skipped.saturating_sub(rows);
    }

    pub(super) fn scroll_down(&mut self, rows: usize) {
        self.skipped = (self.skipped + rows).min(self.nodes.len().saturating_sub(1));
    }

    fn sort(&mut self) {
        let order = self.order;
        self.nodes.sort_by(|a, b| compare(order, a, b).then_with(|| a.id.cmp(&b.id)));
        self.skipped = self.skipped.min(self.nodes.len().saturating_sub(1));
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [top, table, keys] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)])
                .areas(frame.area());
        frame.render_widget(Paragraph::new(self.summary()), top);
        let header =
            ["NODE", "POP", "STATE", "PRESSURE", "", "ROOM", "VIEWERS", "EGRESS", "BOOKED", "AGE", "WHY"];
        let header = Row::new(header).style(Style::new().add_modifier(Modifier::REVERSED));
        let visible = usize::from(table.height.saturating_sub(1));
        let rows = self.nodes.iter().skip(self.skipped).take(visible).map(row);
        let widths = [14, 14, 11, 15, 11, 9, 9, 10, 9, 6].map(Constraint::Length);
        let widths = widths.into_iter().chain([Constraint::Min(10)]);
        frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), table);
        let order = match self.order {
            Order::Need => "need of attention",
            Order::Pressure => "pressure",
            Order::Viewers => "viewers",
            Order::Name => "name",
        };
        let text = format!(" q quit · s sort (by {order}) · ↑↓ PgUp PgDn scroll · {}", self.url);
        frame.render_widget(Paragraph::new(text).style(Style::new().fg(Color::DarkGray)), keys);
    }

    fn summary(&self) -> Line<'_> {
        if let Some(complaint) = &self.complaint {
            let style = Style::new().add_modifier(Modifier::REVERSED);
            return Line::from(Span::styled(format!(" NOT LIVE: {complaint} "), style));
        }
        let count = |state: &str| self.nodes.iter().filter(|node| node.state == state).count();
        let viewers: f64 = self.nodes.iter().filter_map(|node| node.clients).sum();
        let room: u64 = self.nodes.iter().filter_map(Node::room).sum();
        let over = count("overloaded");
        let style =
            if over > 0 { Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) } else { Style::new() };
        Line::from(vec![
            Span::raw(format!(
                " {} nodes · {viewers:.0} watching · room for {room} more · ",
                self.nodes.len()
            )),
            Span::styled(format!("{over} overloaded"), style),
            Span::raw(format!(
                " · {} down · {} stale · {} draining",
                count("down"),
                count("stale"),
                count("draining")
            )),
        ])
    }
}

fn compare(order: Order, a: &Node, b: &Node) -> Ordering {
    let pressure = |node: &Node| node.pressure.unwrap_or(-1.0);
    match order {
        Order::Need => a.need().cmp(&b.need()).then(pressure(b).total_cmp(&pressure(a))),
        Order::Pressure => pressure(b).total_cmp(&pressure(a)),
        Order::Viewers => b.clients.unwrap_or(0.0).total_cmp(&a.clients.unwrap_or(0.0)),
        Order::Name => Ordering::Equal,
    }
}

fn row(node: &Node) -> Row<'static> {
    let colour = colour(node.pressure);
    let word = match (&*node.state, node.pressure) {
        ("healthy", Some(x)) if x >= 0.85 => "◆ near".to_owned(),
        ("healthy", _) => "● ok".to_owned(),
        ("overloaded", _) => "▲ overload".to_owned(),
        ("down", _) => "✕ down".to_owned(),
        ("draining", _) => "‖ draining".to_owned(),
        (state, _) => format!("◌ {state}"),
    };
    let pressure = node.pressure.map_or("–".to_owned(), |x| format!("{:<10} {x:.2}", bar(x)));
    let number =
        |value: Option<f64>, unit: &str| value.map_or("–".to_owned(), |value| format!("{value:.0}{unit}"));
    Row::new(vec![
        Cell::from(inert(&node.id)).style(Style::new().add_modifier(Modifier::BOLD)),
        Cell::from(inert(&node.pop)),
        Cell::from(word).style(Style::new().fg(colour)),
        Cell::from(pressure).style(Style::new().fg(colour)),
        Cell::from(node.tightest.clone().unwrap_or_default()),
        Cell::from(node.room().map_or("–".to_owned(), |room| room.to_string())),
        Cell::from(number(node.clients, "")),
        Cell::from(number(node.egress_mbps, " Mb/s")),
        Cell::from(number(Some(node.booked_mbps), " Mb/s")),
        Cell::from(number(node.sample_age_s, " s")),
        Cell::from(inert(&node.reasons.join("; "))),
    ])
}

fn colour(pressure: Option<f64>) -> Color {
    match pressure {
        None => Color::DarkGray,
        Some(x) if x >= 1.0 => Color::Red,
        Some(x) if x >= 0.85 => Color::Yellow,
        Some(x) if x >= 0.6 => Color::Blue,
        Some(_) => Color::Cyan,
    }
}

/// Full at 1.25 of the limit, so that what is over it shows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10")]
fn bar(pressure: f64) -> String {
    let full = (pressure / 1.25 * BAR as f64).round().clamp(0.0, BAR as f64) as usize;
    "█".repeat(full)
}

/// Text of others must not speak to the terminal.
fn inert(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn listing() -> Listing {
        serde_json::from_value(serde_json::json!({ "nodes": [
            { "id": "sh-1", "pop": "shanghai", "state": "healthy", "pressure": 0.42, "clients": 1021.0, "headroom_viewers": 1537, "booked_mbps": 84.6, "more": [] },
            { "id": "sh-2", "pop": "shanghai", "state": "overloaded", "pressure": 1.07, "tightest": "process_cpu", "reasons": ["process srs \u{1b}[31m at 0.86"], "booked_mbps": 0.0 },
            { "id": "bj-1", "pop": "beijing", "state": "down", "pressure": null, "booked_mbps": 0 },
        ] }))
        .unwrap()
    }

    fn drawn(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(140, 8)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn what_needs_attention_stands_on_top_and_nothing_speaks_to_the_terminal() {
        let mut screen = Screen::new("http://127.0.0.1:8081", listing());
        let text = drawn(&screen);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
        assert!(at("sh-2") < at("bj-1") && at("bj-1") < at("sh-1"), "{text}");
        assert!(text.contains("1 overloaded") && text.contains("1021 watching") && !text.contains('\u{1b}'));
        screen.sort_next();
        screen.sort_next();
        assert!(drawn(&screen).find("sh-1") < drawn(&screen).find("sh-2"), "by viewers");
        screen.complain("cannot reach it");
        assert!(drawn(&screen).contains("NOT LIVE: cannot reach it"));
    }

    #[test]
    fn scrolling_ends_at_the_last_node() {
        let mut screen = Screen::new("", listing());
        screen.scroll_down(99);
        assert_eq!(screen.skipped, 2);
        screen.scroll_up(usize::MAX);
        assert_eq!(screen.skipped, 0);
    }
}
