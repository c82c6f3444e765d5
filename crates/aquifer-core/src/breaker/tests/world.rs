//! Random sequences against a model that keeps every call.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A call that takes no time.
    Call(Outcome),
    Probe(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Answered),
        1 => Just(CUT),
        2 => Just(ILL),
        1 => Just(SILENT),
    ];
    prop_oneof![
        8 => outcome.prop_map(Step::Call),
        1 => any::<bool>().prop_map(Step::Probe),
        2 => (0..3000_u64).prop_map(Step::Wait),
    ]
}

/// What should be the case, the plainest way.
struct Model {
    limits: Limits,
    millis: u64,
    /// When each call since the last closing was made, and whether it failed.
    calls: Vec<(u64, bool)>,
    /// Answers that are entered when there are eight.
    answers: usize,
    cuts: u32,
    state: State,
    /// Answers in the half-open state: one, then three.
    tried: u32,
}

impl Model {
    fn call(&mut self, outcome: Outcome) {
        let failed = matches!(outcome, Outcome::Failed(_));
        match self.state {
            State::Closed => {
                if failed {
                    self.calls.push((self.millis, true));
                } else {
                    self.answers += 1;
                }
                if self.answers == 8 {
                    self.calls.extend([(self.millis, false); 8]);
                    self.answers = 0;
                }
                match outcome {
                    CUT => self.cuts += 1,
                    SILENT => {}
                    _ => self.cuts = 0,
                }
                if failed && (self.cuts >= self.limits.cuts_max || self.has_failed()) {
                    self.state = State::Open;
                }
            }
            State::HalfOpen => self.tried(!failed),
            _ => {}
        }
    }

    fn has_failed(&self) -> bool {
        let (second, oldest) = (self.millis / 1000, (self.millis / 1000).saturating_sub(9));
        let recent = |&&(at, _): &&(u64, bool)| (oldest..=second).contains(&(at / 1000));
        let calls = self.calls.iter().filter(recent).count() + self.answers;
        let failed = self
            .calls
            .iter()
            .filter(recent)
            .filter(|(_, failed)| *failed);
        calls >= self.limits.calls_min as usize
            && failed.count() * 100 >= calls * self.limits.failure_percent as usize
    }

    fn probe(&mut self, answered: bool) {
        match self.state {
            State::Closed if answered => self.cuts = 0,
            State::Closed => {
                self.cuts += 1;
                if self.cuts >= self.limits.cuts_max {
                    self.state = State::Open;
                }
            }
            State::Open if answered => {
                self.state = State::HalfOpen;
                self.tried = 0;
            }
            State::HalfOpen => self.tried(answered),
            _ => {}
        }
    }

    fn tried(&mut self, answered: bool) {
        if !answered {
            self.state = State::Open;
            return;
        }
        self.tried += 1;
        if self.tried == 4 {
            self.state = State::Closed;
            self.calls.clear();
            self.answers = 0;
            self.cuts = 0;
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(
        calls_min in 1..12_u32,
        failure_percent in 1..=100_u32,
        cuts_max in 1..5_u32,
        seed: u64,
        steps in prop::collection::vec(step(), 0..400),
    ) {
        let limits = Limits { calls_min, failure_percent, cuts_max, ..Limits::default() };
        let start = Instant::now();
        let breaker = Breaker::new(limits, seed, start);
        let mut model = Model {
            limits,
            millis: 0,
            calls: Vec::new(),
            cuts: 0,
            state: State::Closed,
            answers: 0,
            tried: 0,
        };
        for step in steps {
            let now = start + Duration::from_millis(model.millis);
            match step {
                Step::Wait(millis) => model.millis += millis,
                Step::Probe(answered) => {
                    let before = model.state;
                    model.probe(answered);
                    let change = breaker.probed(answered, now);
                    prop_assert_eq!(change.map(|change| change.to), changed(before, model.state));
                }
                Step::Call(outcome) => {
                    let permit = Breaker::permit(&breaker, now);
                    prop_assert_eq!(permit.is_err(), model.state == State::Open);
                    let Ok(permit) = permit else { continue };
                    let before = model.state;
                    model.call(outcome);
                    let change = permit.record(outcome, now);
                    prop_assert_eq!(change.map(|change| change.to), changed(before, model.state));
                }
            }
        }
    }
}

fn changed(before: State, after: State) -> Option<State> {
    (before != after).then_some(after)
}
