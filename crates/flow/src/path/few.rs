//! Things of which there mostly is one.

use std::ops::{Deref, DerefMut};
use std::{mem, slice};

/// A list that holds one thing in place: most flows have one strand, and there are many flows.
#[derive(Clone, Debug, Default)]
pub(super) enum Few<T> {
    #[default]
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub(super) fn push(&mut self, thing: T) {
        if self.is_empty() {
            *self = Few::One(thing);
        } else {
            self.push_another(thing);
        }
    }

    #[cold]
    fn push_another(&mut self, thing: T) {
        *self = match mem::take(self) {
            Few::None => Few::One(thing),
            Few::One(first) => Few::Many(vec![first, thing]),
            Few::Many(mut all) => {
                all.push(thing);
                Few::Many(all)
            }
        };
    }

    /// Leaves those that are to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match self {
            Few::None => {}
            Few::One(one) => {
                if !keep(one) {
                    *self = Few::None;
                }
            }
            Few::Many(all) => {
                all.retain(keep);
                all.shrink_to_fit();
            }
        }
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Few::None => Vec::new(),
            Few::One(one) => vec![one],
            Few::Many(all) => all,
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::None => &[],
            Few::One(one) => slice::from_ref(one),
            Few::Many(all) => all,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::None => &mut [],
            Few::One(one) => slice::from_mut(one),
            Few::Many(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        for count in 0..5 {
            let mut few = Few::default();
            (0..count).for_each(|n| few.push(n));
            few.iter_mut().for_each(|n| *n += 10);
            let all: Vec<i32> = (10..10 + count).collect();
            assert_eq!(*few, *all);
            assert_eq!(few.clone().into_vec(), all);
            let mut odd = few.clone();
            odd.retain(|n| n % 2 == 1);
            assert_eq!(*odd, *all.into_iter().filter(|n| n % 2 == 1).collect::<Vec<_>>());
        }
    }
}
