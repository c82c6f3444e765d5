use std::fs;

use super::{Kind, Redis};
use crate::scratch::wait_until;

/// Three sentinels that watch one master, and agree by two.
///
/// A master that is silent for half a second is replaced.
#[derive(Debug)]
pub struct Sentinels {
    sentinels: Vec<Redis>,
    service: String,
}

impl Sentinels {
    /// Starts them, and waits until they know each other and so many replicas.
    #[must_use]
    pub fn start(master: &Redis, service: &str, replicas: usize) -> Self {
        let settings = format!(
            "sentinel monitor {service} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {service} 500\n\
             sentinel failover-timeout {service} 4000\n\
             sentinel parallel-syncs {service} 1\n",
            master.port()
        );
        let start = |_number| {
            Redis::start_as(Kind::Sentinel, &[], |directory| {
                fs::write(directory.join("sentinel.conf"), &settings).expect("our own directory");
            })
        };
        let started = Self {
            sentinels: (0..3).map(start).collect(),
            service: service.to_owned(),
        };
        wait_until("the sentinels know each other", || {
            let known = |sentinel: &Redis| {
                let state = sentinel.command(&["SENTINEL", "MASTER", service]);
                field(&state, "num-other-sentinels") == Some("2")
                    && field(&state, "num-slaves") == Some(&replicas.to_string())
            };
            started.sentinels.iter().all(known)
        });
        started
    }

    /// Each of them.
    #[must_use]
    pub fn each(&self) -> &[Redis] {
        &self.sentinels
    }

    /// `127.0.0.1:port,…/service`, as it stands in a URL.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts: Vec<String> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("{}/{}", hosts.join(","), self.service)
    }

    /// The port of the master, as the first sentinel that runs sees it.
    #[must_use]
    pub fn master_port(&self) -> u16 {
        let running = self.sentinels.iter().find(|one| one.pid().is_some());
        let answer = running.expect("one runs").command(&[
            "SENTINEL",
            "GET-MASTER-ADDR-BY-NAME",
            &self.service,
        ]);
        let port = answer.lines().nth(1).and_then(|port| port.parse().ok());
        port.unwrap_or_else(|| panic!("no port in {answer:?}"))
    }

    /// Has the sentinels put a replica in the master's place, though the master is well.
    pub fn fail_over(&self) {
        let [first, ..] = self.sentinels.as_slice() else {
            unreachable!("there are three");
        };
        wait_until("a sentinel begins", || {
            first
                .try_command(&["SENTINEL", "FAILOVER", &self.service])
                .is_ok()
        });
    }
}

/// A value of a list of names and values.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.lines();
    lines.find(|line| *line == name)?;
    lines.next()
}
