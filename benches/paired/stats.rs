//! Neighbouring slices, so that a noisy machine cancels out: ours, raw, ours, raw... and the median of their ratios.

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn percentile(sorted: &[u64], part: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Two measurements of the same work, larger is better. One warm-up pair is thrown away.
pub fn pairs(count: usize, mut ours: impl FnMut() -> f64, mut raw: impl FnMut() -> f64) -> (f64, f64, f64) {
    let (mut all_ours, mut all_raw, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..=count {
        let (a, b) = if n % 2 == 0 {
            let a = ours();
            (a, raw())
        } else {
            let b = raw();
            (ours(), b)
        };
        if n > 0 {
            all_ours.push(a);
            all_raw.push(b);
            ratios.push(a / b);
        }
    }
    (median(all_ours), median(all_raw), median(ratios))
}

pub fn row(what: &str, ours: String, raw: String, ratio: f64, goal: &str) {
    println!("{what:<52} {ours:>22} {raw:>22} {ratio:>7.2} x   (wanted: {goal})");
}
