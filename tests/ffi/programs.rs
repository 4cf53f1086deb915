//! The programs of `ffi-tests/`.

use crate::kit::{compile, data_dir, run, Linked, C99};

fn passes(name: &str) {
    let program = compile("cc", &C99, &format!("ffi-tests/{name}.c"), Linked::Shared);
    assert_eq!(run(&program, &[&data_dir(name)]), "", "{name} wrote to stdout");
}

#[cfg(feature = "ffi-panic-injection")]
#[test]
fn a_bug_ends_its_engine_and_not_the_host() {
    passes("panic");
}

#[cfg(not(feature = "ffi-panic-injection"))]
mod without_bugs {
    use super::passes;
    use crate::kit::{command, compile, data_dir, has_or_skip, kit, root, run, scratch, succeeded, Linked, C99};
    use std::path::Path;
    use std::process::Command;

    const FIRST_PROGRAM_SAYS: &str = "tag 7 at 0 code 0\n0: hello\n";

    #[test]
    fn null_is_answered_by_every_function() {
        passes("nulls");
    }

    #[test]
    fn structs_may_be_longer_but_not_shorter_than_the_first_version() {
        passes("struct_size");
    }

    #[test]
    fn settings_are_known_and_legal_or_refused() {
        passes("conf");
    }

    #[test]
    fn topics_are_made_changed_and_deleted() {
        passes("admin");
    }

    #[test]
    fn every_record_that_was_taken_is_reported_once() {
        passes("producer");
    }

    #[test]
    fn a_partition_is_appended_to_and_read_directly() {
        passes("log");
    }

    #[test]
    fn a_queue_tells_by_its_descriptor_and_can_be_woken() {
        passes("queue");
    }

    #[test]
    fn a_consumer_reads_what_it_was_assigned() {
        passes("consumer");
    }

    #[test]
    fn objects_end_in_any_order_and_batches_outlive_their_engine() {
        passes("lifetimes");
    }

    #[test]
    fn eight_threads_share_every_handle() {
        passes("threads");
    }

    #[test]
    fn a_forked_child_is_told_so_and_its_parent_goes_on() {
        passes("forked");
    }

    #[test]
    fn three_engines_of_a_process_are_a_cluster_over_a_network_of_the_hosts_that_loses_and_repeats() {
        passes("transport");
    }

    #[test]
    fn three_engines_of_a_process_survive_the_loss_of_a_leader_and_tell_when_too_few_are_in_sync() {
        passes("cluster");
    }

    #[test]
    fn engines_of_a_process_find_each_other_by_name() {
        passes("inproc");
    }

    #[test]
    fn a_program_appoints_the_leaders_itself_and_stale_epochs_are_refused() {
        passes("appointed");
    }

    #[test]
    fn log_lines_reach_the_hosts_function_and_the_queue() {
        passes("logs");
    }

    #[test]
    fn the_first_program_that_somebody_writes_works_linked_either_way() {
        let shared = compile("cc", &C99, "ffi-tests/first_program.c", Linked::Shared);
        assert_eq!(run(&shared, &[&data_dir("first-shared")]), FIRST_PROGRAM_SAYS);
        let linked = compile("cc", &C99, "ffi-tests/first_program.c", Linked::Static);
        assert_eq!(run(&linked, &[&data_dir("first-static")]), FIRST_PROGRAM_SAYS);
    }

    #[test]
    fn the_first_go_program_works_through_cgo_and_pkg_config() {
        if !has_or_skip("go") || !has_or_skip("pkg-config") {
            return;
        }
        let program = go_program(&root().join("ffi-tests/go"), "go-first", &[("PKG_CONFIG_PATH", kit())]);
        let said = run(&program, &[&data_dir("go-first")]);
        assert_eq!(said, "tag 1 offset 0 code 0\ntag 2 offset 1 code 0\n");
    }

    #[test]
    fn three_engines_of_a_go_program_are_a_cluster_over_a_network_in_go() {
        if !has_or_skip("go") || !has_or_skip("pkg-config") {
            return;
        }
        let program = go_program(&root().join("ffi-tests/go-cluster"), "go-cluster", &[("PKG_CONFIG_PATH", kit())]);
        let said = run(&program, &[&data_dir("go-cluster")]);
        let expected = [
            "three in sync: acknowledged",
            "the leader is lost: acknowledged by another",
            "two in sync are not three: 19",
            "it is back: acknowledged",
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    }

    pub fn go_program(source: &Path, name: &str, environment: &[(&str, &Path)]) -> std::path::PathBuf {
        let program = scratch().join(name);
        let mut build = Command::new("go");
        build.current_dir(source).args(["build", "-o"]).arg(&program).arg(".");
        build.env("CGO_ENABLED", "1").env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
        // Go keeps what it compiled with what pkg-config said then, and does not ask again; flags of the environment it compares.
        build.env("CGO_CPPFLAGS", format!("-I{}", kit().display()));
        build.envs(environment.iter().copied());
        succeeded(&mut build);
        program
    }

    #[test]
    fn what_the_power_cut_writer_acknowledged_its_reader_finds() {
        let writer = compile("cc", &C99, "ffi-tests/pc_writer.c", Linked::Shared);
        let reader = compile("cc", &C99, "ffi-tests/pc_reader.c", Linked::Shared);
        let dir = data_dir("power-cut");
        let acked = run(&writer, &["--dir", &dir, "--seed", "7", "--records", "300"]);
        assert_eq!(acked.lines().count(), 300);
        assert_eq!(sorted(&run(&reader, &["--dir", &dir])), sorted(&acked));
        // A second life adds to the first.
        let more = run(&writer, &["--dir", &dir, "--seed", "8", "--records", "50"]);
        assert_eq!(sorted(&run(&reader, &["--dir", &dir])), sorted(&(acked + &more)));
        let missing = command(&reader).args(["--dir", "/nowhere/at/all"]).output().expect("timeout(1) is there");
        assert!(!missing.status.success());
    }

    fn sorted(lines: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = lines.lines().collect();
        lines.sort_unstable();
        lines
    }
}

#[cfg(not(feature = "ffi-panic-injection"))]
pub use without_bugs::go_program;
