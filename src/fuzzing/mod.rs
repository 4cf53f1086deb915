//! Where the fuzzer comes in: one function a target, each calling into its room. Any input must return; a panic is a find.

mod files_on_disk;
mod index_files;
mod partition_files;
#[cfg(test)]
mod seeds;
mod segment_recover;

pub use index_files::index_files;
pub use segment_recover::segment_recover;

/// Any bytes as the bytes of a log, of a produce request and of a compressed payload.
pub fn record_batch(data: &[u8]) {
    crate::record::fuzz::record_batch(data);
}

/// Any bytes as what a socket brings: before the handshake, in it, after it.
pub fn net_frame(data: &[u8]) {
    crate::transport::fuzz::net_frame(data);
}

/// Any bytes as a message between nodes or of a client.
pub fn wire_frame(data: &[u8]) {
    crate::wire::fuzz::wire_frame(data);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs a target over the seeds that are committed for it.
    fn replay(target: &str, run: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut count = 0;
        for seed in std::fs::read_dir(&seeds).unwrap() {
            let path = seed.unwrap().path();
            println!("{}", path.display()); // the last one is the one that failed
            run(&std::fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{} is empty", seeds.display());
    }

    #[test]
    fn every_seed_of_record_batch_passes() {
        replay("record_batch", super::record_batch);
    }

    #[test]
    fn every_seed_of_segment_recover_passes() {
        replay("segment_recover", super::segment_recover);
    }

    #[test]
    fn every_seed_of_index_files_passes() {
        replay("index_files", super::index_files);
    }

    #[test]
    fn every_seed_of_net_frame_passes() {
        replay("net_frame", super::net_frame);
    }

    #[test]
    fn every_seed_of_wire_frame_passes() {
        replay("wire_frame", super::wire_frame);
    }
}
