//! A cluster of three servers without replicas.

use super::{Redis, Setup, free_port};
use crate::patience::eventually;

/// Slots of a cluster.
const SLOTS: u32 = 16_384;

/// A cluster of three servers.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one and waits until every node knows all slots.
    ///
    /// # Panics
    /// It does not come together.
    #[must_use]
    pub fn start() -> RedisCluster {
        let node = |_| {
            let bus = free_port().to_string();
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "2000",
            ];
            Setup::default().with(&arguments).start()
        };
        let nodes: Vec<Redis> = (0..3).map(node).collect();
        for (number, node) in (0..).zip(&nodes) {
            let (from, to) = (SLOTS * number / 3, SLOTS * (number + 1) / 3 - 1);
            let done = node.ask(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]);
            assert_eq!(done, "OK");
        }
        let first = &nodes[0];
        for other in &nodes[1..] {
            let bus = other.ask(&["CONFIG", "GET", "cluster-port"]);
            let bus = bus.lines().last().unwrap_or_default().to_owned();
            let port = other.port().to_string();
            assert_eq!(first.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "OK");
        }
        let is_whole = |node: &Redis| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        assert!(eventually(|| nodes.iter().all(is_whole)), "no cluster");
        RedisCluster { nodes }
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// A node that can be killed.
    pub fn node(&mut self, number: usize) -> &mut Redis {
        &mut self.nodes[number]
    }

    /// The addresses, as a list in a configuration.
    #[must_use]
    pub fn addresses(&self) -> String {
        let quoted: Vec<String> =
            self.nodes.iter().map(|node| format!("\"{}\"", node.address())).collect();
        format!("[{}]", quoted.join(", "))
    }
}
