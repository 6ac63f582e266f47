//! `nearcast top`: the fleet in a terminal.
//!
//! A guest like any other: it asks the ops side of a running service for `/nodes` and draws the table that the
//! browser's page has. It knows nothing of the house's insides, so it may run anywhere and be of another version.

mod fleet;
mod screen;

use std::time::Duration;

use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use reqwest::header::{ACCEPT, AUTHORIZATION};

use self::fleet::Listing;
use self::screen::{Order, Screen};

/// Between two looks at the fleet.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a key may wait to be seen.
const KEYS_EVERY: Duration = Duration::from_millis(50);

/// Where to look, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ops side: `http://127.0.0.1:8081`.
    pub url: String,
    /// The token that it asks for.
    pub token: Option<String>,
}

/// What a key means.
enum Key {
    Quit,
    Sort,
    Up(usize),
    Down(usize),
    Top,
}

/// Draws the fleet until `q` is pressed.
///
/// # Errors
/// The first look fails: the address, the token or the service is wrong. Later ones are shown and tried again.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot build an HTTP client")?;
    let mut screen = Screen::new(&options.url, look(&client, &options).await?);
    let mut terminal = ratatui::try_init().context("top needs a terminal")?;
    let outcome = watch(&mut terminal, &client, &options, &mut screen).await;
    ratatui::restore();
    outcome
}

async fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    client: &reqwest::Client,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut keys = tokio::time::interval(KEYS_EVERY);
    loop {
        terminal.draw(|frame| screen.draw(frame)).context("cannot draw")?;
        tokio::select! {
            _ = looks.tick() => match look(client, options).await {
                Ok(listing) => screen.show(listing),
                Err(error) => screen.complain(&format!("{error:#}")),
            },
            _ = keys.tick() => {
                while event::poll(Duration::ZERO).context("cannot read the keyboard")? {
                    match key(&event::read().context("cannot read the keyboard")?) {
                        Some(Key::Quit) => return Ok(()),
                        Some(Key::Sort) => screen.sort_next(),
                        Some(Key::Up(rows)) => screen.scroll_up(rows),
                        Some(Key::Down(rows)) => screen.scroll_down(rows),
                        Some(Key::Top) => screen.scroll_up(usize::MAX),
                        None => {}
                    }
                }
            }
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('s') => Some(Key::Sort),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up(1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down(1)),
        KeyCode::PageUp => Some(Key::Up(20)),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Key::Down(20)),
        KeyCode::Home => Some(Key::Top),
        _ => None,
    }
}

/// One look at the fleet.
async fn look(client: &reqwest::Client, options: &Options) -> anyhow::Result<Listing> {
    let url = format!("{}/nodes", options.url.trim_end_matches('/'));
    let mut request = client.get(&url).header(ACCEPT, "application/json");
    if let Some(token) = &options.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = request.send().await.with_context(|| format!("cannot reach {url}"))?;
    match response.status() {
        status if status.is_success() => {}
        reqwest::StatusCode::UNAUTHORIZED => anyhow::bail!("{url} asks for a token: --token-file"),
        status => anyhow::bail!("{url} answers {status}"),
    }
    let body = response.bytes().await.with_context(|| format!("{url} stopped in the middle"))?;
    serde_json::from_slice(&body).with_context(|| format!("{url} is not what a nearcast answers"))
}

impl Order {
    /// The next order.
    fn next(self) -> Self {
        match self {
            Self::Need => Self::Pressure,
            Self::Pressure => Self::Viewers,
            Self::Viewers => Self::Name,
            Self::Name => Self::Need,
        }
    }
}
