//! Packets to flows to snapshots.
//!
//! A [`FlowTable`] belongs to one thread: it observes packets and hands out
//! [`Delta`]s. The [`Collector`] absorbs the deltas of every table, closes the
//! ledger and freezes [`Snapshot`]s. Time comes from packets only; nothing here
//! reads a clock or does I/O.
#![forbid(unsafe_code)]

mod arena;
mod collector;
pub mod community_id;
mod delta;
mod dns;
mod flow;
mod fragment;
mod group;
mod index;
mod key;
mod ledger;
mod lookup;
mod message;
mod name;
mod rank;
mod record;
mod select;
mod snapshot;
mod store;
mod stream;
mod table;
mod tally;
mod tcp;
mod totals;

pub use collector::{Collector, Config};
pub use delta::Delta;
pub use dns::{DnsEvent, DnsTotals};
pub use flow::Counters;
pub use group::{Group, GroupBy, GroupKey};
pub use key::Seed;
pub use ledger::{CaptureEnd, CaptureRecord, InterfaceId, InterfaceLedger, InterfaceName, Ledger};
pub use lookup::Keep;
pub use rank::SortKey;
pub use record::{FlowDirection, FlowRecord, TcpRecord, TunnelHeader};
pub use select::{Network, Selection};
pub use snapshot::{Event, Snapshot};
pub use table::{FlowTable, Options};
