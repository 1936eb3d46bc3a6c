//! Which interfaces are captured, by number, while those of the wanted names come and go.

use super::Error;
use super::link::Links;

/// Which interfaces are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Whatever there is.
    All,
    /// By binding the socket; `None` while it is away.
    Bound(Option<u32>),
    /// By the filter.
    Filtered(Vec<u32>),
}

impl Choice {
    /// The interfaces of these names, all for none; by the socket if `bound` and it is one.
    pub(super) fn of(names: &[String], links: &Links, bound: bool) -> Result<Self, Error> {
        let number = |name: &String| {
            let found = links.all().find(|(_, link)| link.name == *name);
            found.map(|(n, _)| n).ok_or_else(|| Error::NoSuchInterface { name: name.clone() })
        };
        let numbers: Vec<u32> = names.iter().map(number).collect::<Result<_, _>>()?;
        Ok(match numbers.as_slice() {
            [] => Self::All,
            &[number] if bound => Self::Bound(Some(number)),
            _ => Self::Filtered(numbers),
        })
    }

    /// Whether this interface is captured.
    pub(super) fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::Bound(one) => *one == Some(number),
            Self::Filtered(some) => some.contains(&number),
        }
    }

    /// From now on this one too; where there is one only, instead.
    pub(super) fn add(&mut self, number: u32) {
        match self {
            Self::All => {}
            Self::Bound(one) => *one = Some(number),
            Self::Filtered(some) if some.contains(&number) => {}
            Self::Filtered(some) => some.push(number),
        }
    }

    /// This one no more.
    pub(super) fn remove(&mut self, number: u32) {
        match self {
            Self::All => {}
            Self::Bound(one) => *one = one.filter(|&n| n != number),
            Self::Filtered(some) => some.retain(|&n| n != number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_what_comes_and_goes() {
        let mut some = Choice::Filtered(vec![3, 4]);
        some.remove(3);
        some.add(9);
        some.add(9);
        assert_eq!(some, Choice::Filtered(vec![4, 9]));
        let mut one = Choice::Bound(Some(3));
        one.remove(4);
        assert!(one.has(3));
        one.remove(3);
        assert!(!one.has(3));
        one.add(7);
        assert_eq!(one, Choice::Bound(Some(7)));
        let mut all = Choice::All;
        all.remove(3);
        assert!(all.has(3));
    }
}
