//! All sequences of what can happen, up to a length: none leads to where probes alone don't lead back
//! from, lets more calls through than there are places, or takes the last host away.

use super::*;

const LENGTH: u32 = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    AskLast,
    Answered,
    Cut,
    GoAway,
    ProbeAnswered,
    ProbeFailed,
    Wait,
}

const STEPS: [Step; 8] = [
    Step::Ask,
    Step::AskLast,
    Step::Answered,
    Step::Cut,
    Step::GoAway,
    Step::ProbeAnswered,
    Step::ProbeFailed,
    Step::Wait,
];

struct Run<'a> {
    breaker: &'a Breaker,
    permits: Vec<Permit<&'a Breaker>>,
    now: Instant,
    opened_at: Option<Instant>,
}

impl Run<'_> {
    fn step(&mut self, step: Step) {
        let (breaker, now) = (self.breaker, self.now);
        match step {
            Step::Ask => {
                let allowed = breaker.allows(now);
                let asked = Breaker::permit(breaker, now);
                assert_eq!(asked.is_ok(), allowed);
                self.permits.extend(asked);
            }
            Step::AskLast => {
                let asked = Breaker::permit_of_last(breaker, PATIENCE, now);
                let is_young = self.opened_at.is_none_or(|at| now - at < PATIENCE);
                assert_eq!(
                    asked.is_ok(),
                    is_young || breaker.state() == State::HalfOpen
                );
                self.permits.extend(asked);
            }
            Step::Answered => self.end(Outcome::Answered),
            Step::Cut => self.end(CUT),
            Step::GoAway => drop(self.permits.pop()),
            Step::ProbeAnswered => drop(breaker.probed(true, now)),
            Step::ProbeFailed => drop(breaker.probed(false, now)),
            Step::Wait => self.now += Duration::from_secs(3),
        }
        self.check();
    }

    /// The oldest call ends.
    fn end(&mut self, outcome: Outcome) {
        if !self.permits.is_empty() {
            self.permits.remove(0).record(outcome, self.now);
        }
    }

    fn check(&mut self) {
        let (gate, state) = (self.breaker.gate(), self.breaker.state());
        assert!(gate.is(state), "the gate tells the state");
        match state {
            State::Closed => self.opened_at = None,
            _ => self.opened_at = self.opened_at.or(Some(self.now)),
        }
        let has_place = |permit: &&Permit<_>| permit.has_place && permit.gate == gate;
        let places = self.permits.iter().filter(has_place).count();
        // With the one more that each long wait allows for.
        assert!(places <= 3 + LENGTH as usize / 2);
        match state {
            State::Closed => assert!(self.breaker.allows(self.now)),
            State::Open => assert!(!self.breaker.allows(self.now)),
            _ => assert!(places > 0 || self.breaker.allows(self.now)),
        }
    }
}

#[test]
fn every_sequence_keeps_what_is_promised() {
    let limits = Limits {
        calls_min: 2,
        cuts_max: 2,
        ..Limits::default()
    };
    let start = Instant::now();
    let mut ends = std::collections::HashMap::new();
    for number in 0..STEPS.len().pow(LENGTH) {
        let breaker = Breaker::new(limits, 3, start);
        let mut run = Run {
            breaker: &breaker,
            permits: Vec::new(),
            now: start,
            opened_at: None,
        };
        let mut rest = number;
        for _ in 0..LENGTH {
            run.step(STEPS[rest % STEPS.len()]);
            rest /= STEPS.len();
        }
        *ends.entry(breaker.state()).or_insert(0) += 1;
        run.permits.clear();
        for _ in 0..5 {
            run.step(Step::ProbeAnswered);
        }
        assert_eq!(breaker.state(), State::Closed, "{number}");
    }
    assert_eq!(ends.len(), 3, "{ends:?}");
}
