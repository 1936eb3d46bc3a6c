//! Processes that have sockets, each with a number.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Process;
use super::facts::{Key, key};

/// The processes, and how many sockets name each.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    numbers: HashMap<Key, u32, RandomState>,
    list: Vec<(Process, u32)>,
    free: Vec<u32>,
}

impl Tasks {
    /// The process of this number.
    pub(super) fn get(&self, number: u32) -> Option<&Process> {
        self.list.get(number as usize).map(|(task, _)| task)
    }

    /// Whether it is this one.
    pub(super) fn is(&self, number: u32, task: &Process) -> bool {
        self.get(number).is_some_and(|known| key(known) == key(task))
    }

    /// The number of a process, which one more socket names.
    pub(super) fn take(&mut self, task: &Process) -> u32 {
        let Self { numbers, list, free } = self;
        let number = *numbers.entry(key(task)).or_insert_with(|| {
            let Some(number) = free.pop() else {
                list.push((*task, 0));
                return list.len() as u32 - 1;
            };
            if let Some(slot) = list.get_mut(number as usize) {
                *slot = (*task, 0);
            }
            number
        });
        if let Some((_, users)) = list.get_mut(number as usize) {
            *users += 1;
        }
        number
    }

    /// One socket less names it.
    pub(super) fn release(&mut self, number: u32) {
        let Some((task, users)) = self.list.get_mut(number as usize) else { return };
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(&key(task));
            self.free.push(number);
        }
    }
}
