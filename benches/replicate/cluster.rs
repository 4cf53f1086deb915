//! Three nodes in this process.

use crate::veil::Veil;
use crate::Bench;
use kafkalog::{
    ChannelHub, ClusterId, Engine, LogLevel, LogSink, NodeId, PartitionReplicas, SocketSettings, SocketTransport,
    TopicConfig, Transport,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const NODES: u32 = 3;
const CLUSTER_ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
/// Nothing that a cluster does takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// Lines of the log that are kept.
const LINES_MAX: usize = 200;

/// How the nodes speak with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Channel,
    Tcp,
    Unix,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Channel => "channel",
            Way::Tcp => "tcp",
            Way::Unix => "unix",
        }
    }
}

/// One node, open or not.
pub struct Seat {
    pub id: u32,
    dir: PathBuf,
    address: String,
    engine: Option<Engine>,
    transport: Option<Arc<dyn Transport>>,
    is_silent: Arc<AtomicBool>,
}

pub struct Cluster {
    way: Way,
    hub: ChannelHub,
    pub seats: Vec<Seat>,
    is_veiled: bool,
    settings: Vec<(&'static str, &'static str)>,
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Cluster {
    /// Three open nodes and a topic `t`, its replicas in sync. `is_veiled`: each can be made to fall silent, which costs a little with
    /// each frame.
    pub fn open(
        bench: &Bench,
        name: &str,
        way: Way,
        partitions: u32,
        is_veiled: bool,
        settings: &[(&'static str, &'static str)],
    ) -> Cluster {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let seat = |id| {
            let dir = bench.dir.join(format!("{name}-{id}"));
            let address = match way {
                Way::Channel => format!("inproc://n{id}"),
                Way::Tcp => {
                    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
                    format!("tcp://{}", free.local_addr().expect("an address"))
                }
                Way::Unix => format!(
                    "unix://{}",
                    std::env::temp_dir().join(format!("kb-{}-{name}-{id}", std::process::id())).display()
                ),
            };
            Seat { id, dir, address, engine: None, transport: None, is_silent: Arc::default() }
        };
        let seats = (1..=NODES).map(seat).collect();
        let mut cluster = Cluster {
            way,
            hub: ChannelHub::new(),
            seats,
            is_veiled,
            settings: settings.to_vec(),
            lines: Arc::default(),
        };
        (1..=NODES).for_each(|id| cluster.start(id));
        let config =
            TopicConfig::new().partitions(partitions).replication(3).set("min.insync.replicas", "2").expect("legal");
        // Not before all three are registered.
        cluster.until("the topic is created", || cluster.engine(1).create_topic("t", config.clone()).ok());
        (0..partitions).for_each(|partition| cluster.until_in_sync(partition));
        cluster
    }

    pub fn start(&mut self, id: u32) {
        let voters: Vec<String> = self.seats.iter().map(|seat| format!("{}@{}", seat.id, seat.address)).collect();
        let seat = &mut self.seats[id as usize - 1];
        let transport: Arc<dyn Transport> = match self.way {
            Way::Channel => Arc::new(self.hub.transport(&format!("n{id}")).expect("a free name")),
            Way::Tcp | Way::Unix => {
                let cluster = ClusterId::parse(CLUSTER_ID).expect("an id");
                let sockets =
                    SocketTransport::new(SocketSettings { cluster, seed: id.into(), ..SocketSettings::default() });
                sockets.listen(&seat.address).expect("listens");
                Arc::new(sockets)
            }
        };
        let transport = if self.is_veiled {
            let veil = Veil::new(transport);
            seat.is_silent = veil.switch();
            Arc::new(veil)
        } else {
            transport
        };
        seat.transport = Some(Arc::clone(&transport));
        let id = id.to_string();
        let mut builder = Engine::builder(&seat.dir).transport(transport);
        let own = [
            ("node.id", &*id),
            ("cluster.id", CLUSTER_ID),
            ("listeners", &*seat.address),
            ("controller.quorum.voters", &*voters.join(",")),
        ];
        for (name, value) in own.into_iter().chain(self.settings.iter().copied()) {
            builder = builder.set(name, value).expect("legal");
        }
        builder = builder.log_sink(Arc::new(Lines { node: id.clone(), kept: Arc::clone(&self.lines) }));
        seat.engine = Some(builder.open().unwrap_or_else(|error| panic!("opening: {error}")));
    }

    pub fn engine(&self, id: u32) -> &Engine {
        self.seats[id as usize - 1].engine.as_ref().expect("is open")
    }

    pub fn open_engines(&self) -> impl Iterator<Item = &Engine> {
        self.seats.iter().filter_map(|seat| seat.engine.as_ref())
    }

    /// Takes the engine away, to be closed.
    pub fn take(&mut self, id: u32) -> Engine {
        self.seats[id as usize - 1].transport = None;
        self.seats[id as usize - 1].engine.take().expect("is open")
    }

    pub fn silence(&self, id: u32, is_silent: bool) {
        assert!(self.is_veiled);
        self.seats[id as usize - 1].is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// What its leader says of a partition; of several that think so the one of the last reign.
    pub fn led(&self, partition: u32) -> Option<(u32, PartitionReplicas)> {
        let told = self.seats.iter().filter_map(|seat| {
            let replicas = seat.engine.as_ref()?.describe_replicas("t", partition).ok()?;
            (replicas.leader == Some(NodeId(seat.id))).then_some((seat.id, replicas))
        });
        told.max_by_key(|(_, replicas)| replicas.leader_epoch)
    }

    /// How everybody sees partition 0, for people.
    pub fn describe(&self) -> String {
        let seen = self.seats.iter().filter_map(|seat| {
            let engine = seat.engine.as_ref()?;
            Some(format!("    node {} sees {:?}", seat.id, engine.describe_replicas("t", 0)))
        });
        seen.collect::<Vec<_>>().join("\n")
    }

    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn until_in_sync(&self, partition: u32) {
        let all = self.open_engines().count();
        self.until("all replicas are in sync", || {
            let (leader, replicas) = self.led(partition)?;
            let heard = self.open_engines().all(|engine| {
                let known = engine.describe_replicas("t", partition);
                known.is_ok_and(|known| known.leader == Some(NodeId(leader)))
            });
            (replicas.isr.len() == all && heard).then_some(())
        });
    }

    pub fn leader(&self, partition: u32) -> u32 {
        self.led(partition).expect("somebody leads").0
    }

    pub fn another_than(&self, id: u32) -> u32 {
        self.seats.iter().find(|seat| seat.id != id && seat.engine.is_some()).expect("another one").id
    }

    /// Frames that left each node.
    pub fn frames_sent(&self) -> u64 {
        let transports = self.seats.iter().filter_map(|seat| seat.transport.as_ref());
        transports.flat_map(|transport| transport.peer_stats()).map(|peer| peer.frames_sent).sum()
    }

    /// How often their threads got up.
    pub fn wakeups(&self) -> u64 {
        let of = |engine: &Engine| {
            let stats = engine.stats_json();
            let (_, behind) = stats.split_once("\"wakeups\":").expect("is among the statistics");
            let digits: String = behind.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().expect("a number")
        };
        self.open_engines().map(of).sum()
    }
}

/// The next cluster finds the disk as this one did. Who fails says how things stand.
impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                eprintln!("{line}");
            }
            eprintln!("{}", self.describe());
        }
        for seat in &mut self.seats {
            drop(seat.engine.take());
            let _ = std::fs::remove_dir_all(&seat.dir);
        }
    }
}

/// What the nodes have to say: printed at once if KAFKALOG_BENCH_LOG is set, else when the bench fails.
struct Lines {
    node: String,
    kept: Arc<Mutex<VecDeque<String>>>,
}

impl LogSink for Lines {
    fn log(&self, level: LogLevel, facility: &str, text: &str) {
        let line = format!("    node {} {level:?} {facility}: {text}", self.node);
        if std::env::var_os("KAFKALOG_BENCH_LOG").is_some() {
            return eprintln!("{line}");
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
