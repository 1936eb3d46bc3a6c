//! Packets to flows to snapshots.
//!
//! A [`FlowTable`] belongs to one thread: it observes packets and hands out
//! [`Delta`]s. The [`Collector`] absorbs the deltas of every table, closes the
//! ledger and freezes [`Snapshot`]s. Time comes from packets only; nothing here
//! reads a clock or does I/O.
#![forbid(unsafe_code)]

mod arena;
mod attribution;
mod closed;
mod collector;
pub mod community_id;
mod counters;
mod delta;
mod dns;
mod encrypted;
mod expiry;
mod flow;
mod fragment;
mod group;
mod index;
mod key;
mod ledger;
mod live;
mod lookup;
mod message;
mod name;
mod neighbours;
mod offload;
mod opening;
mod owner;
mod pace;
mod parts;
mod path;
mod pattern;
mod rank;
mod record;
mod select;
mod snapshot;
mod sockets;
mod store;
mod stream;
mod table;
mod tally;
mod tcp;
mod totals;

pub use attribution::{Answer, Attributed, Change, Elsewhere, End, Evidence, Protocol, Question, Reason};
pub use collector::{Collector, Config, LiveConfig};
pub use counters::Counters;
pub use delta::Delta;
pub use dns::{DnsEvent, DnsFacts, DnsTotals};
pub use encrypted::{Announcement, DnsBy, DnsKind, EncryptedDns, ResolverTotals};
pub use expiry::{LATE, ROUNDS, Timeouts};
pub use group::{Group, GroupBy, GroupKey};
pub use key::Seed;
pub use ledger::{
    CaptureEnd, CaptureRecord, InterfaceId, InterfaceLedger, InterfaceName, Ledger, LiveLedger, Readings,
};
pub use live::{Ticket, Translation};
pub use lookup::Keep;
pub use name::{Called, Cause, Lookup, NamedBy};
pub use opening::NameEvent;
pub use owner::{Container, Owner, Runtime};
pub use pace::{Pace, RECENT, Rate};
pub use path::print;
pub use pattern::ProcessPattern;
pub use rank::SortKey;
pub use record::{FlowDirection, FlowRecord, TcpRecord, TunnelHeader};
pub use select::{Network, Selection};
pub use snapshot::{Began, Event, Live, Snapshot};
pub use sockets::{ProcessAccount, ProcessSockets, RoundTrips, SocketCounts, SocketLedger};
pub use table::{FlowTable, Options};
pub use tally::{Fetch, Settle};
