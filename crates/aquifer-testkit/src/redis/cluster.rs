use super::Redis;
use crate::scratch::wait_until;

/// A cluster of three masters, which share the slots evenly, and perhaps a replica of each.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<Redis>,
    replicas: Vec<Redis>,
}

const SLOTS: usize = 16_384;

const SETTINGS: [&str; 6] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-config-file",
    "nodes.conf",
];

impl RedisCluster {
    /// Starts the masters, and waits until all agree on the slots.
    #[must_use]
    pub fn start() -> Self {
        let cluster = Self {
            masters: (0..3).map(|_| Redis::start_with(&SETTINGS)).collect(),
            replicas: Vec::new(),
        };
        for (number, node) in cluster.masters.iter().enumerate() {
            let (first, next) = (SLOTS * number / 3, SLOTS * (number + 1) / 3);
            let (first, last) = (first.to_string(), (next - 1).to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            cluster.meet(node);
        }
        cluster.agreed(3);
        cluster
    }

    /// As [`start`](Self::start), with a replica of each master.
    #[must_use]
    pub fn start_with_replicas() -> Self {
        let mut cluster = Self::start();
        cluster.replicas = (0..3).map(|_| Redis::start_with(&SETTINGS)).collect();
        for replica in &cluster.replicas {
            cluster.meet(replica);
        }
        cluster.agreed(6);
        for (master, replica) in cluster.masters.iter().zip(&cluster.replicas) {
            replica.command(&["CLUSTER", "REPLICATE", &id(master)]);
        }
        wait_until("the replicas follow", || {
            cluster.replicas.iter().all(|replica| {
                let state = replica.command(&["INFO", "replication"]);
                state.contains("master_link_status:up")
            })
        });
        cluster
    }

    /// The masters of the beginning.
    #[must_use]
    pub fn masters(&self) -> &[Redis] {
        &self.masters
    }

    /// The replica of each, in the same order.
    #[must_use]
    pub fn replicas(&self) -> &[Redis] {
        &self.replicas
    }

    /// `127.0.0.1:port,…`, as it stands in a URL.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts = self
            .masters
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// Begins to move a slot: what is in it goes with [`move_keys`](Self::move_keys), and until
    /// [`finish_move`](Self::finish_move) both ends know of it.
    pub fn begin_move(&self, slot: u16, from: &Redis, to: &Redis) {
        let slot = slot.to_string();
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// Moves at most so many keys of the slot.
    pub fn move_keys(&self, slot: u16, from: &Redis, to: &Redis, count: usize) {
        let keys = from.command(&[
            "CLUSTER",
            "GETKEYSINSLOT",
            &slot.to_string(),
            &count.to_string(),
        ]);
        let port = to.port().to_string();
        for key in keys.lines() {
            from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        }
    }

    /// Ends a move: the slot belongs to `to`.
    pub fn finish_move(&self, slot: u16, from: &Redis, to: &Redis) {
        let slot = slot.to_string();
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
    }

    fn meet(&self, node: &Redis) {
        if let Some(first) = self.masters.first() {
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &first.port().to_string()]);
        }
    }

    /// Waits until all nodes know so many, and that all slots are served.
    fn agreed(&self, nodes: usize) {
        let known = format!("cluster_known_nodes:{nodes}\r\n");
        wait_until("the cluster is well", || {
            self.masters.iter().chain(&self.replicas).all(|node| {
                let state = node.command(&["CLUSTER", "INFO"]);
                state.contains("cluster_state:ok") && state.contains(&known)
            })
        });
    }
}

fn id(node: &Redis) -> String {
    node.command(&["CLUSTER", "MYID"])
}
