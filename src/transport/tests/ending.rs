use super::{
    client, next_connection, node, node_at, pair, pattern, settings, tcp, wait_until, NodeId, PeerStats, PATIENCE,
};
use crate::error::ErrorCode;
use crate::transport::{Frame, SocketSettings, Transport};
use parking_lot::Mutex;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{mpsc, Arc};

fn stop_returns_when_a_peer_hangs_and_the_writer_waits_for_it(base: &SocketSettings) {
    let (one, two) = pair(SocketSettings { queue_bytes_max: 1 << 20, ..base.clone() });
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    two.heard.on_frame(move |_, _| {
        let _ = released.lock().recv(); // an error once the other end is dropped
    });
    one.send_until_full(two.number, |_| pattern(100_000, 1));
    one.transport.stop();
    let error = one.transport.send(two.number, Frame::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DESTROY);
    assert!(one.transport.poll_notice().is_none_or(|notice| !notice.contains("in time")));
    drop(release);
    two.heard.wait_down(one.number);
}

#[test]
fn stop_returns_while_connections_are_being_made_or_greeted() {
    // Takes connections into its backlog and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = node(1, settings());
    one.transport.set_peer(NodeId(2), Some(&format!("tcp://{}", mute.local_addr().unwrap()))).unwrap();
    // Nobody is there, by definition (RFC 5737); whether the kernel waits or knows depends on the machine.
    one.transport.set_peer(NodeId(3), Some("tcp://192.0.2.1:9")).unwrap();
    let _accepted = next_connection(&mute);
    let knocking = std::net::TcpStream::connect(one.url.strip_prefix("tcp://").unwrap()).unwrap();
    wait_until("a knock", || (one.transport.0.table.lock().handshakes == 1).then_some(()));
    one.transport.stop();
    assert!(std::iter::from_fn(|| one.transport.poll_notice()).all(|notice| !notice.contains("in time")));
    drop(knocking);
}

fn stop_may_be_called_from_inside_and_nothing_is_delivered_afterwards(base: &SocketSettings) {
    let (one, two) = pair(base.clone());
    let (own, (told, hear)) = (Arc::clone(&two.transport), mpsc::channel());
    two.heard.on_frame(move |_, _| {
        own.stop();
        told.send(()).unwrap();
    });
    one.send(&two, pattern(10, 1));
    let _ = one.transport.send(two.number, Frame::from(pattern(10, 2))); // the connection may be gone already
    hear.recv_timeout(PATIENCE).unwrap();
    two.transport.stop();
    assert_eq!(two.heard.frames().len(), 1);
    one.heard.wait_down(two.number);
}

#[test]
fn a_transport_is_started_once_and_stopped_any_number_of_times() {
    let one = node(1, settings());
    let inbox = crate::transport::Inbox::new(Arc::clone(&one.heard) as Arc<dyn crate::transport::Receive>);
    let again = one.transport.start(one.number, inbox.clone()).unwrap_err();
    assert_eq!(again.code(), ErrorCode::STATE);
    one.transport.stop();
    one.transport.stop();
    assert!(one.transport.start(one.number, inbox).is_err());
    assert!(one.transport.listen(&tcp()).is_err());
    let visitor = client(settings(), &[]);
    assert_eq!(visitor.transport.listen(&tcp()).unwrap_err().code(), ErrorCode::INVALID_ARG);
    assert_eq!(visitor.transport.peer_stats(), Vec::<PeerStats>::new());
}

const ALONE: &str = "KAFKALOG_TEST_ALONE";

/// Threads of this process that are a transport's.
fn threads() -> usize {
    let comm =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(comm).filter(|name| name.starts_with("kafkalog-net")).count()
}

/// Runs in a process of its own: the threads of other tests have the same names.
#[test]
#[ignore = "started by the next test"]
fn count_threads_alone() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    for _ in 0..10 {
        let (one, two) = pair(settings());
        let visitor = client(settings(), &[&one, &two]);
        visitor.heard.wait_up(two.number);
        let three = node_at(3, &tcp(), settings());
        three.knows(&one);
        one.heard.wait_up(three.number);
        assert!(threads() > 8);
        for node in [&one, &two, &visitor, &three] {
            node.transport.stop();
        }
        // A joined thread may be in the list for a moment longer.
        wait_until("no thread", || (threads() == 0).then_some(()));
    }
}

#[test]
fn no_thread_is_left_after_stop() {
    let own = std::env::current_exe().unwrap();
    let name = concat!(module_path!(), "::count_threads_alone").split_once("::").unwrap().1;
    let output = Command::new(own).args(["--exact", name, "--ignored"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

over_tcp_and_tls! {
    stop_returns_when_a_peer_hangs_and_the_writer_waits_for_it,
    stop_may_be_called_from_inside_and_nothing_is_delivered_afterwards,
}
