//! Keys of zones: made here, and told to the zone above.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Failure, load, say};
use crate::dns::ZoneKey;

/// Longest name in letters, without the root's dot (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest label.
const LONGEST_LABEL: usize = 63;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key for a zone: two files, and the DS record that the zone above has to have.
    Keygen {
        /// The zone, as in "apex" of [[dns.zones]].
        #[arg(value_parser = zone)]
        zone: String,
        /// Where the files go.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Print the DS and the DNSKEY record of keys.
    Ds {
        /// Files `….private`, each with its `….key` beside it.
        #[arg(required_unless_present = "config")]
        files: Vec<PathBuf>,
        /// Configuration file (TOML): the keys of all its zones.
        #[arg(long, short, conflicts_with = "files")]
        config: Option<PathBuf>,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Keygen { zone, out } => keygen(&zone, &out),
        Command::Ds { files, config: None } => ds(&files),
        Command::Ds { config: Some(config), .. } => {
            let dns = load(&config)?.dns;
            let zones = dns.iter().flat_map(|dns| &dns.zones);
            ds(&zones.flat_map(|zone| zone.keys.iter().cloned()).collect::<Vec<_>>())
        }
    }
}

/// A name of a zone, lower case, without a dot at its end. It becomes part of a file's name, so it has no other characters
/// than names of hosts have.
fn zone(written: &str) -> Result<String, String> {
    let name = written.strip_suffix('.').unwrap_or(written).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    match name.len() <= LONGEST_NAME && name.split('.').all(is_label) {
        true => Ok(name),
        false => Err("expected a zone such as example.com".to_owned()),
    }
}

fn keygen(zone: &str, folder: &Path) -> Result<(), Failure> {
    let key = ZoneKey::draw(zone).map_err(anyhow::Error::new)?;
    let path = |kind: &str| folder.join(format!("{}.{kind}", key.stem));
    let secret = path("private");
    write_new(&secret, &key.secret, 0o600)?;
    write_new(&path("key"), &key.public, 0o644)?;
    let key = ZoneKey::open(&secret).map_err(Failure::input)?;
    say(&format!("; {}: for keys of [[dns.zones]]\n{}", secret.display(), key.ds_line()))
}

/// Never over a file that is there: a secret that is lost cannot be had again.
fn write_new(path: &Path, content: &str, mode: u32) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(content.as_bytes()));
    Ok(written.with_context(|| format!("cannot write {}", path.display()))?)
}

fn ds(files: &[PathBuf]) -> Result<(), Failure> {
    let keys = files.iter().map(|path| ZoneKey::open(path)).collect::<Result<Vec<_>, _>>();
    let lines = keys
        .map_err(Failure::input)?
        .iter()
        .map(|key| format!("{}\n{}", key.ds_line(), key.line()))
        .collect::<Vec<_>>();
    match lines.is_empty() {
        true => Err(anyhow::anyhow!("no zone of this configuration has keys").into()),
        false => say(&lines.join("\n")),
    }
}
