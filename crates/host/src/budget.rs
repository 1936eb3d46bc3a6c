//! A token bucket: how much may be asked of the kernel in a given time.

use std::time::{Duration, Instant};

/// A token bucket whose clock is the caller's.
///
/// What a token is (a dump, a system call) is the owner's affair.
#[derive(Debug, Clone)]
pub struct Budget {
    tokens: f64,
    capacity: f64,
    per_second: f64,
    refilled: Option<Instant>,
}

impl Budget {
    /// A full bucket of `capacity` tokens that refills at `per_second`.
    pub fn new(capacity: f64, per_second: f64) -> Self {
        Self { tokens: capacity, capacity, per_second, refilled: None }
    }

    /// Takes `cost` tokens if they are there.
    pub fn take(&mut self, cost: f64, now: Instant) -> bool {
        self.refill(now);
        let granted = self.tokens >= cost;
        if granted {
            self.tokens -= cost;
        }
        granted
    }

    /// Takes `cost` tokens whenever any are left, going into debt for the rest.
    ///
    /// For work whose cost may exceed the capacity and cannot be split: it is
    /// done, and what follows waits for longer.
    pub fn borrow(&mut self, cost: f64, now: Instant) -> bool {
        self.refill(now);
        let granted = self.tokens > 0.0;
        if granted {
            self.tokens -= cost;
        }
        granted
    }

    /// Takes `cost` tokens that were already spent.
    pub fn charge(&mut self, cost: f64) {
        self.tokens -= cost;
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = self.refilled.map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.per_second).min(self.capacity);
        self.refilled = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let start = Instant::now();
        let mut budget = Budget::new(2.0, 1.0);
        assert!(budget.take(1.0, start));
        assert!(budget.take(1.0, start));
        assert!(!budget.take(1.0, start + Duration::from_millis(900)));
        assert!(budget.take(1.0, start + Duration::from_secs(1)));
        assert!(!budget.take(1.0, start + Duration::from_secs(1)));
    }

    #[test]
    fn a_loan_delays_what_follows() {
        let start = Instant::now();
        let mut budget = Budget::new(10.0, 10.0);
        assert!(budget.borrow(30.0, start));
        assert!(!budget.borrow(1.0, start + Duration::from_secs(2)));
        assert!(budget.borrow(1.0, start + Duration::from_millis(2100)));
    }
}
