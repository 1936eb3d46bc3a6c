//! The facts that few flows have.

use std::sync::Arc;

use dissect::app::App;

use super::{FlowParts, FlowStore};
use crate::encrypted::{Encrypted, Heard};
use crate::flow::Flow;
use crate::key::Side;
use crate::record::TunnelHeader;

/// What is known of some flows beyond their counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    /// The headers that enclose it, outermost first.
    tunnels: Box<[TunnelHeader]>,
    /// What its first bytes said.
    app: Option<Arc<App>>,
    /// It is of encrypted lookups.
    encrypted: Option<Box<Encrypted>>,
}

impl More {
    pub(super) fn is_empty(&self) -> bool {
        self.tunnels.is_empty() && self.app.is_none() && self.encrypted.is_none()
    }

    /// Exchanges the sides: those of another key, in which they sort the other way round.
    pub(crate) fn flip(&mut self) {
        if let Some(encrypted) = &mut self.encrypted {
            encrypted.flip();
        }
    }

    /// Takes over what another part of the same flow knows; `turned` if that part's initiator is the flow's responder.
    fn absorb(&mut self, part: More, turned: bool) {
        if self.tunnels.is_empty() {
            self.tunnels = part.tunnels;
        }
        match (&mut self.encrypted, part.encrypted) {
            (Some(known), Some(part)) => known.absorb(&part),
            (None, part @ Some(_)) => self.encrypted = part,
            (_, None) => {}
        }
        let Some(app) = part.app else { return };
        let app = if turned { Arc::new(app.turned()) } else { app };
        match &mut self.app {
            None => self.app = Some(app),
            Some(known) if *known == app => {}
            Some(known) => Arc::make_mut(known).absorb(&app),
        }
    }
}

/// A table of facts that some flows have, by number +1.
#[derive(Debug)]
pub(super) struct Rows<T> {
    rows: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), free: Vec::new() }
    }
}

impl<T> Rows<T> {
    pub(super) fn insert(&mut self, row: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.rows[number as usize - 1] = row;
            return number;
        }
        self.rows.push(row);
        self.rows.len() as u32
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.rows.get((number as usize).wrapping_sub(1))
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.rows.get_mut((number as usize).wrapping_sub(1))
    }

    pub(super) fn remove(&mut self, number: u32) -> T
    where
        T: Default,
    {
        let Some(row) = self.get_mut(number) else { return T::default() };
        let row = std::mem::take(row);
        self.free.push(number);
        row
    }
}

impl FlowStore {
    pub(crate) fn tunnels(&self, flow: &Flow) -> &[TunnelHeader] {
        self.more.get(flow.more).map_or(&[], |more| &more.tunnels)
    }

    pub(crate) fn set_tunnels(&mut self, number: u32, headers: Box<[TunnelHeader]>) {
        self.more_of(number).tunnels = headers;
    }

    /// What the flow's first bytes said, if anybody could read them.
    pub(crate) fn app(&self, flow: &Flow) -> Option<&Arc<App>> {
        self.more.get(flow.more).and_then(|more| more.app.as_ref())
    }

    /// What is known of a flow of encrypted lookups.
    pub(crate) fn encrypted(&self, flow: &Flow) -> Option<&Encrypted> {
        self.more.get(flow.more).and_then(|more| more.encrypted.as_deref())
    }

    /// A flow is of encrypted lookups: all its payloads are to be counted.
    pub(crate) fn set_encrypted(&mut self, number: u32, encrypted: Encrypted) {
        self.more_of(number).encrypted = Some(Box::new(encrypted));
        self.get_mut(number).heed.count();
    }

    /// Counts a payload of such a flow.
    pub(crate) fn count_encrypted(&mut self, number: u32, heard: &Heard<'_>) {
        if let Some(encrypted) = &mut self.more_of(number).encrypted {
            encrypted.hear(heard);
        }
    }

    pub(crate) fn set_app(&mut self, number: u32, app: Arc<App>) {
        self.more_of(number).app = Some(app);
    }

    /// Takes over what another part of a flow knew, whose initiator was `initiator`; before that part was counted, the
    /// flow's own was `before`.
    pub(crate) fn absorb_more(&mut self, number: u32, before: Side, more: More, initiator: Side) {
        let now = self.get(number).initiator;
        if before != now && self.get(number).more != 0 {
            let known = self.more_of(number);
            known.app = known.app.take().map(|app| Arc::new(app.turned()));
        }
        if !more.is_empty() {
            self.more_of(number).absorb(more, initiator != now);
        }
    }

    fn more_of(&mut self, number: u32) -> &mut More {
        let flow = &mut self.flows[number];
        if flow.more == 0 {
            flow.more = self.more.insert(More::default());
        }
        &mut self.more.rows[flow.more as usize - 1]
    }
}

impl FlowParts {
    /// The headers that enclose it, outermost first.
    pub(crate) fn tunnels(&self) -> &[TunnelHeader] {
        &self.more.tunnels
    }

    /// What its first bytes said.
    pub(crate) fn app(&self) -> Option<&Arc<App>> {
        self.more.app.as_ref()
    }

    /// What is known of it, if it is of encrypted lookups.
    pub(crate) fn encrypted(&self) -> Option<&Encrypted> {
        self.more.encrypted.as_deref()
    }
}
