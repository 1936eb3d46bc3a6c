//! What is captured while interfaces come and go: what the socket is bound to, what its filter lets pass.

use std::time::Duration;

use super::choice::Choice;
use super::known::Met;
use super::link::{self, Link, LinkChange, LinkChangeKind, Start, arphrd};
use super::program::{Instruction, RET_K};
use super::{Error, RingSource, filter, sys};
use crate::Interface;

/// A filter that no packet passes.
pub(super) const NOTHING: [Instruction; 1] = [Instruction { code: RET_K, jt: 0, jf: 0, k: 0 }];

/// What interfaces are called that are not told apart.
const OTHERS: &str = "others";

impl RingSource {
    /// Takes no further packets; those that passed are still handed out, within [`Options::patience`]. None is on its way into
    /// the ring any more, or being counted, when this returns.
    pub fn stop(&mut self) -> Result<(), Error> {
        /// Where the kernel does not tell: longer than a processor is taken away from it.
        const LONG: Duration = Duration::from_millis(100);
        self.stopped = true;
        self.attach(&NOTHING)?;
        if sys::wait_for_packets_on_their_way().is_err() {
            std::thread::sleep(LONG);
        }
        Ok(())
    }

    fn filter(&self) -> Vec<Instruction> {
        let chosen =
            if let Choice::Filtered(numbers) = &self.choice { Some(numbers.as_slice()) } else { None };
        filter::program(self.options.snaplen, chosen)
    }

    /// Has the filter decide from now on. One that counts can only tell so many interfaces apart.
    pub(super) fn attach_filter(&self) -> Result<(), Error> {
        match &self.late {
            Some(late) if late.set_links(&self.links, |number| self.choice.has(number)) => {
                late.attach(&self.socket).map_err(|e| Error::system("attach the filter", e))
            }
            _ => self.attach(&self.filter()),
        }
    }

    pub(super) fn attach(&self, program: &[Instruction]) -> Result<(), Error> {
        self.socket.attach(program).map_err(|e| Error::system("attach the snaplen filter", e))
    }

    pub(super) fn bind(&self) -> Result<(), Error> {
        let number = match self.choice {
            Choice::Bound(None) => return Ok(()),
            Choice::Bound(Some(number)) => number,
            Choice::All | Choice::Filtered(_) => 0,
        };
        match self.socket.bind_packet(number as i32) {
            // It has gone since we looked; it may come again.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => Ok(()),
            other => other.map_err(|e| Error::system("bind the packet socket", e)),
        }
    }

    /// Asks every chosen interface for all packets, if that is wanted.
    pub(super) fn make_promiscuous(&self) -> Result<(), Error> {
        if !self.options.promiscuous {
            return Ok(());
        }
        for (number, link) in self.links.all() {
            if self.choice.has(number) && link.hatype != arphrd::LOOPBACK {
                match self.socket.join_promiscuous(number as i32) {
                    Err(e) if e.raw_os_error() != Some(libc::ENODEV) => {
                        return Err(Error::system("switch to promiscuous mode", e));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Learns what became of the interfaces, and captures those that are to be captured now.
    pub(super) fn heed_links(&mut self) -> Result<(), Error> {
        self.links.update().map_err(|e| Error::system("watch interfaces", e))?;
        let changes = self.links.take_changes();
        if let Some(late) = self.late.as_ref().filter(|_| !changes.is_empty()) {
            late.set_links(&self.links, |number| self.choice.has(number));
        }
        for change in changes {
            self.heed(change)?;
        }
        Ok(())
    }

    fn heed(&mut self, change: LinkChange) -> Result<(), Error> {
        let number = change.ifindex;
        let ours = self.choice.has(number);
        let wanted = self.options.interfaces.contains(&change.name);
        if let (Some(late), LinkChangeKind::Added | LinkChangeKind::Removed) = (&mut self.late, &change.kind)
        {
            // What passes it from now on is another interface's.
            late.unsettle_all(Some(number));
        }
        match &change.kind {
            LinkChangeKind::Added => {
                // The number may have been another's.
                self.known.replace(number);
                if self.choice == Choice::All && self.options.promiscuous {
                    let _ = self.socket.join_promiscuous(number as i32);
                }
            }
            LinkChangeKind::Renamed { .. } => {
                for known in self.known.numbered(number) {
                    let alone = self.known.ifindex(known.number as usize) == Some(number);
                    if alone && let Some(interface) = self.interfaces.get_mut(known.number as usize) {
                        interface.name = Some(change.name.clone());
                    }
                }
            }
            LinkChangeKind::Removed => self.known.depart(number),
            _ => {}
        }
        let before = self.choice.clone();
        match change.kind {
            LinkChangeKind::Removed => self.choice.remove(number),
            LinkChangeKind::Added | LinkChangeKind::Renamed { .. } if wanted => self.choice.add(number),
            _ => {}
        }
        if self.choice != before {
            self.choose()?;
        }
        if ours || self.choice.has(number) {
            self.changes.push(change);
        }
        Ok(())
    }

    /// Makes the kernel follow a changed choice, unless nothing is taken any more.
    fn choose(&self) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        match &self.choice {
            Choice::All => return Ok(()),
            Choice::Bound(_) => self.bind()?,
            Choice::Filtered(_) => self.attach_filter()?,
        }
        self.make_promiscuous()
    }

    /// Gives an interface its number.
    pub(super) fn welcome(&mut self, ifindex: u32, hatype: u16) -> Result<u32, Error> {
        if self.links.get(ifindex).is_none() {
            self.heed_links()?;
        }
        let start = link::start(hatype);
        let link_type = match start {
            Start::Link(link_type) => link_type,
            Start::Network => dissect::LinkType::RAW,
        };
        let met = self.known.meet(ifindex, hatype, start);
        let here = self.links.get(ifindex);
        if here.is_none() {
            self.known.depart(ifindex);
        }
        let link = here.or_else(|| self.links.departed(ifindex));
        let (name, splits_at) = (link.map(|l| l.name.clone()), link.and_then(Link::splits_at));
        match met {
            Met::New(number) => {
                self.interfaces.push(Interface { link_type, name, splits_at });
                Ok(number)
            }
            Met::Others(number) => {
                let name = Some(OTHERS.to_owned());
                self.interfaces.push(Interface { link_type, name, splits_at: None });
                Ok(number)
            }
            Met::Known(number) => Ok(number),
        }
    }
}
