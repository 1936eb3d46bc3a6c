//! The command line. Help, man page and completions all come from these definitions.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use flow::{GroupBy, Network, ProcessPattern, SortKey};

use crate::view::report::Units;
use crate::when::When;

const STYLES: Styles =
    Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default());

const EXIT_STATUS: &str = "\
Exit status: 0 done; 1 failed while running, or nothing to read; 2 wrong usage; 3 not permitted; 4 no such interface; 6 an input is damaged (the report of its good part was printed).";

/// Who is talking to what, how much, and is anything odd.
///
/// Prints every flow with the process that owns it, how much each end sent, the names that were looked up, and an account
/// of every packet that closes: every few seconds from this machine's interfaces, or of capture files.
#[derive(Debug, Parser)]
#[command(name = "sockethound", version, styles = STYLES, args_conflicts_with_subcommands = true, after_long_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do instead of reporting.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The report.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Everything besides the report.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the manual page (roff), for `man -l -`
    Man,
    /// Print the completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the JSON Schema of what --json writes
    Schema,
    /// Say what this kernel and these privileges allow, and the one command that would give more
    #[cfg(target_os = "linux")]
    Doctor {
        /// As one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Look up owners for the process at the other end of standard input
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    OwnerService {
        /// Keep all privileges
        #[arg(long)]
        no_sandbox: bool,
        /// Load no programs into the kernel
        #[arg(long)]
        no_bpf: bool,
        /// Memory for what they tell, in KiB
        #[arg(long, default_value_t = 2048)]
        bpf_ring: u32,
    },
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A choice: what is typed, what it means, and a line of help.
type Choice<T> = (&'static str, T, &'static str);

/// What rows are sorted by.
const SORT_KEYS: &[Choice<SortKey>] = &[
    ("bytes", SortKey::Bytes, "IP bytes, both ways"),
    ("rate", SortKey::Rate, "Bytes by the flow's own duration"),
    ("packets", SortKey::Packets, "Packets, both ways"),
    ("rtt", SortKey::Rtt, "Round-trip time of the handshake"),
    ("retrans", SortKey::Retrans, "Retransmissions"),
    ("first", SortKey::First, "Earliest first packet"),
    ("last", SortKey::Last, "Latest last packet"),
];

/// What flows are added up by.
const GROUPS: &[Choice<GroupBy>] = &[
    ("process", GroupBy::Process, "Owning process"),
    ("container", GroupBy::Container, "Owning container"),
    ("user", GroupBy::User, "Owning user"),
    ("host", GroupBy::Host, "Address of the far end"),
    ("name", GroupBy::Name, "Name of the far end, or its address"),
    ("service", GroupBy::Service, "Protocol and port of the responder"),
    ("interface", GroupBy::Interface, "Interface, or capture file"),
];

/// Reads what is typed as one of `choices`.
fn one_of<T: Copy + Send + Sync>(choices: &'static [Choice<T>]) -> impl TypedValueParser<Value = T> {
    let shown = choices.iter().map(|&(typed, _, help)| PossibleValue::new(typed).help(help));
    PossibleValuesParser::new(shown).try_map(|typed| chosen(choices, &typed).ok_or("no such value"))
}

/// Which of `choices` is `typed`.
fn chosen<T: Copy>(choices: &[Choice<T>], typed: &str) -> Option<T> {
    choices.iter().find(|choice| choice.0 == typed).map(|&(_, meant, _)| meant)
}

/// Options of the report.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one switch, one field")]
pub struct ReportArgs {
    /// Capture on this interface only; repeatable [default: all, every packet counted once]
    #[arg(short, long, value_name = "IF", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "read", help_heading = "Capture")]
    pub interface: Vec<String>,
    /// Capture what is addressed to others, too
    #[arg(long, conflicts_with = "read", help_heading = "Capture")]
    pub promisc: bool,
    /// Keep N bytes of each packet; 0 keeps all [default: the headers, and all of what is read further]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>, conflicts_with = "read", help_heading = "Capture")]
    pub snaplen: Option<u32>,
    /// Memory for packets that wait to be counted, in MiB [default: 32, or 16 where the kernel counts what has no room there]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true, value_parser = ring_size, conflicts_with = "read", help_heading = "Capture")]
    pub ring: Option<f64>,
    /// Count in N threads, each with its part of the ring
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), conflicts_with = "read", help_heading = "Capture")]
    pub workers: u16,
    /// Use the clocks of network cards that stamp packets
    #[arg(long, conflicts_with = "read", help_heading = "Capture")]
    pub hardware_clock: bool,
    /// A closed TCP flow ends SECONDS after its last packet
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "5", value_parser = seconds, conflicts_with = "read", help_heading = "Capture")]
    pub tcp_closed: Duration,
    /// A TCP flow that was not closed ends SECONDS after its last packet
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "900", value_parser = seconds, conflicts_with = "read", help_heading = "Capture")]
    pub tcp_idle: Duration,
    /// Any other flow ends SECONDS after its last packet
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "120", value_parser = seconds, conflicts_with = "read", help_heading = "Capture")]
    pub idle: Duration,

    /// Read a pcap or pcapng capture (plain, .gz, .zst or .lz4; - is standard input) instead of capturing; repeatable
    #[arg(short, long, value_name = "FILE", help_heading = "Input")]
    pub read: Vec<PathBuf>,
    /// Leave out packets before TIME: 12:30, 2026-11-22T12:30:00Z, or +OFFSET from the first packet (+90s, +5m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Input")]
    pub since: Option<When>,
    /// Leave out packets from TIME on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Input")]
    pub until: Option<When>,
    /// What counts as this side (192.0.2.0/24); gives flows their direction; repeatable [default: addresses that pcapng
    /// files say their interfaces had]
    #[arg(long, value_name = "NET", help_heading = "Input")]
    pub local: Vec<Network>,
    /// Count flows of the outermost IP header, not of the innermost one inside tunnels
    #[arg(long, help_heading = "Input")]
    pub no_decap: bool,
    /// Keep at most N flows at once; longer idle ones are written out and counted as evicted
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4_000_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Input")]
    pub max_flows: u32,

    /// Keep all privileges while packets are read; what that gives up is said
    #[arg(long, help_heading = "Input")]
    pub no_sandbox: bool,

    /// Load no programs into the kernel: owners are looked up, which misses sockets that end at once, and what the ring has
    /// no room for is dropped
    #[arg(long, conflicts_with = "read", help_heading = "Capture")]
    pub no_bpf: bool,

    /// Memory for what the kernel tells of owners, in KiB
    #[arg(long, value_name = "KIB", allow_negative_numbers = true, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(4..=65_536), hide = true)]
    pub bpf_ring: u32,

    /// Drop what the ring has no room for, as without BPF
    #[arg(long, hide = true)]
    pub drop_when_late: bool,

    /// Hide loopback traffic (127.0.0.0/8, ::1)
    #[arg(short, long, help_heading = "Selection")]
    pub no_local: bool,
    /// Only flows of such processes: part of the name, pid:123, user:www, exe:/usr/bin/x, container:web or
    /// unit:nginx.service; repeatable (live only)
    #[arg(short, long, value_name = "PAT", conflicts_with = "read", help_heading = "Selection")]
    pub process: Vec<ProcessPattern>,
    /// Hide private-to-private traffic (RFC 1918, RFC 4193, link-local)
    #[arg(short, long, help_heading = "Selection")]
    pub exclude_lan: bool,

    /// Report every SECONDS, live and while standard input keeps coming
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true, default_value = "10", value_parser = seconds, help_heading = "Report")]
    pub time: Duration,
    /// Rows to show; 0 shows all
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>, default_value_t = 20, help_heading = "Report")]
    pub count: usize,
    /// Recent DNS answers to show; 0 shows none
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>, default_value_t = 5, help_heading = "Report")]
    pub dns_count: usize,
    /// Add flows up by process, container, user (live only), host, name, service or interface
    #[arg(short, long, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "process", value_parser = one_of(GROUPS), hide_possible_values = true, help_heading = "Report")]
    pub group: Option<GroupBy>,
    /// Order of rows; groups have no rate, rtt and retrans of their own
    #[arg(short, long, value_name = "KEY", default_value = "bytes", value_parser = one_of(SORT_KEYS), help_heading = "Report")]
    pub sort: SortKey,
    /// Show names instead of addresses: what clients asked for in the flow itself, then what they looked up before it, then what hosts of the link say of themselves, /etc/hosts, name records of captures and, live, reverse lookups in the background
    #[arg(short = 'R', long, help_heading = "Report")]
    pub resolve: bool,
    /// Say where addresses are and whose, from a database in MaxMind's format (country, city or ASN; .mmdb); repeatable
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub geoip: Vec<PathBuf>,
    /// Report once, at the end
    #[arg(short = '1', long, help_heading = "Report")]
    pub once: bool,
    /// Stop after SECONDS and report
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds, help_heading = "Report")]
    pub duration: Option<Duration>,
    /// Write one JSON object a line, of everything, whatever the report hides: to standard output instead of the report, or to FILE besides it
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-", help_heading = "Report")]
    pub json: Option<PathBuf>,
    /// Units of byte counts and rates
    #[arg(long, value_enum, default_value_t, help_heading = "Report")]
    pub units: Units,
    /// When to colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Report")]
    pub color: ColorArg,
    /// Show times in UTC, not in local time
    #[arg(long, help_heading = "Report")]
    pub utc: bool,
    /// List what was malformed or odd, by reason
    #[arg(short, long, help_heading = "Report")]
    pub verbose: bool,
    /// No progress and no warnings; errors only
    #[arg(short, long, action = ArgAction::SetTrue, help_heading = "Report")]
    pub quiet: bool,
}

/// A number of things, of which there may be none.
fn whole<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number from 0 on, or too large"))
}

/// Mebibytes of a ring, fractions allowed.
fn ring_size(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(size) if size > 0.0 && size <= 65_536.0 => Ok(size),
        _ => Err(format!("{text:?} is not a number of MiB above 0, and at most 65536")),
    }
}

/// Thirty years: what is longer never ends, and a clock may not go so far.
const MOST_SECONDS: f64 = 1e9;

/// A positive number of seconds, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a number of seconds above 0");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // Nor what is no number.
    if seconds.is_nan() || seconds <= 0.0 {
        Err(wrong())
    } else {
        Duration::try_from_secs_f64(seconds.min(MOST_SECONDS)).map_err(|_| wrong())
    }
}

/// What is wrong with a command line, and what it may have meant, on one line.
pub fn wrong_usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut told: Vec<String> =
        paragraphs.take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more")).collect();
    let tips: Vec<String> = told.extract_if(.., |part| part.starts_with("tip: ")).collect();
    // Who is told the likely value need not be told all of them.
    let values = told.first().and_then(|first| first.find(" [possible values: "));
    if let (Some(first), Some(at), false) = (told.first_mut(), values, tips.is_empty()) {
        first.truncate(at);
    }
    let said = told.join(" ");
    // `-g host`, `-i lo tcp`: the word behind it seems to be a subcommand.
    let begins = ["error: the subcommand '", "error: unrecognized subcommand '"];
    if let Some((word, _)) =
        begins.iter().find_map(|begin| said.strip_prefix(begin)).and_then(|said| said.split_once('\''))
        && Cli::command().find_subcommand(word).is_none()
    {
        if said.contains("--group") && chosen(GROUPS, word).is_some() {
            return format!("'{word}' stands apart from --group; write -g={word}");
        }
        // `-r *.pcap`: the shell has made several words of it.
        if Path::new(word).is_file() {
            return format!("'{word}' is a file: write -r in front of each capture");
        }
        if tips.is_empty() {
            return format!("'{word}' is no command, and filter expressions are not supported");
        }
    }
    let tips = tips.iter().filter_map(|tip| tip.strip_prefix("tip: ")).map(|tip| format!("; {tip}"));
    said.strip_prefix("error: ").unwrap_or(&said).to_owned() + &tips.collect::<String>()
}

/// The manual page, in roff.
pub fn man_page() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

/// The completion script for `shell`.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sockethound", &mut script);
    script
}
