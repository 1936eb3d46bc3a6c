//! Sets of port numbers.

/// A set of port numbers, a bit each: 8 KiB, so that asking it about any port is one read from the cache.
pub(crate) struct PortSet(Box<[u64; 1024]>);

impl PortSet {
    /// Whether `port` is in it.
    #[inline]
    pub(crate) fn has(&self, port: u16) -> bool {
        self.bit(port) & 1 != 0
    }

    /// Whether one of `ports` is in it.
    #[inline]
    pub(crate) fn has_any(&self, ports: [u16; 2]) -> bool {
        ports.into_iter().fold(0, |any, port| any | self.bit(port)) & 1 != 0
    }

    /// Adds `port`.
    pub(crate) fn insert(&mut self, port: u16) {
        if let Some(word) = self.0.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }

    /// The port's bit, and those of higher ones beside it.
    #[inline]
    fn bit(&self, port: u16) -> u64 {
        self.0.get(usize::from(port / 64)).map_or(0, |word| word >> (port % 64))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut set = Self::default();
        ports.into_iter().for_each(|port| set.insert(port));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_in_and_nothing_else() {
        let ports = [0, 53, 63, 64, 5353, u16::MAX];
        let set: PortSet = ports.into_iter().collect();
        for port in 0..=u16::MAX {
            assert_eq!(set.has(port), ports.contains(&port), "{port}");
        }
        assert!(set.has_any([1, 53]) && set.has_any([53, 1]) && !set.has_any([1, 54]));
    }
}
