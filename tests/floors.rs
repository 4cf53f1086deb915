//! A room may use the rooms below it, never above, never across the corridor. This test reads the `use crate::` lines and points at
//! a crossing, so the picture in ARCHITECTURE.md stays true without anybody guarding it.

use std::fs;
use std::path::{Path, PathBuf};

/// Floor of each room; rooms of one floor never meet, unless they are listed together below.
const FLOORS: &[(&str, u32)] = &[
    ("types", 0),
    ("time", 0),
    ("error", 0),
    ("config", 0),
    ("planted", 0),
    ("record", 1),
    ("disk", 1),
    ("storage", 2),
    ("transport", 2),
    ("controller", 2),
    ("replication", 2),
    ("wire", 3),
    ("client", 4),
    ("node", 5),
    ("producer", 6),
    ("consumer", 6),
    ("inspect", 6),
    ("sim", 6),
    ("engine", 6),
    ("fuzzing", 7),
    ("ffi", 8),
];

/// On the sixth floor the engine hands out producers and consumers; on the ground everybody is at home.
fn may_meet(from: &str, to: &str) -> bool {
    let ground = ["types", "time", "error", "config", "planted"];
    from == to
        || (ground.contains(&from) && ground.contains(&to))
        || (from == "engine" && ["producer", "consumer", "inspect"].contains(&to))
}

fn floor(room: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The rooms that a file names: every `crate::room` outside of comments.
fn rooms_used(text: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut rest = code;
        while let Some(at) = rest.find("crate::") {
            rest = &rest[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let names = list.split('}').next().unwrap_or(list);
                used.extend(
                    names.split(',').map(|n| (number + 1, n.trim().split("::").next().unwrap_or("").to_owned())),
                );
            } else {
                let room: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                used.push((number + 1, room));
            }
        }
    }
    used
}

fn room_of(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).expect("below src");
    let first = inside.iter().next().expect("a name").to_str().expect("utf-8");
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn no_room_uses_one_above_it_or_across_the_corridor() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut crossings = Vec::new();
    for path in files {
        let room = room_of(&path, &src);
        // The front door names every room; tests may look at any; the command line is a crate of its own.
        let is_test = path.iter().any(|part| {
            part.to_str().is_some_and(|part| part == "testing.rs" || part.trim_end_matches(".rs").ends_with("tests"))
        });
        if room == "lib" || room == "bin" || is_test {
            continue;
        }
        let from = floor(&room).unwrap_or_else(|| panic!("{} belongs to no floor: add it to FLOORS", path.display()));
        let text = fs::read_to_string(&path).expect("reads");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        for (line, used) in rooms_used(code) {
            let Some(to) = floor(&used) else { continue };
            // The C door speaks to the front door only, which re-exports what it needs.
            let crosses = if from == 8 { used != room } else { to > from || (to == from && !may_meet(&room, &used)) };
            if crosses {
                crossings.push(format!("{}:{line}: {room} (floor {from}) uses {used} (floor {to})", path.display()));
            }
        }
    }
    assert!(crossings.is_empty(), "\n{}", crossings.join("\n"));
}

#[test]
fn the_command_line_uses_nothing_but_the_public_api() {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut files = Vec::new();
    rust_files(&bin, &mut files);
    for path in files {
        let text = fs::read_to_string(&path).expect("reads");
        assert!(!text.contains("#[path"), "{} reaches into the library's files", path.display());
    }
}

#[test]
fn unsafe_code_lives_only_in_disk_and_ffi_and_says_why_it_is_sound() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut found = Vec::new();
    for path in files {
        let room = room_of(&path, &src);
        let text = fs::read_to_string(&path).expect("reads");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_block = code.contains("unsafe {") || code.contains("unsafe impl");
            let uses = is_block || code.contains("unsafe fn") || code.contains("unsafe extern");
            if uses && room != "disk" && room != "ffi" {
                found.push(format!("{}:{}: unsafe outside of disk/ and ffi/", path.display(), number + 1));
            }
            let near = &lines[number.saturating_sub(6)..=number];
            if is_block && !near.iter().any(|line| line.contains("SAFETY")) {
                found.push(format!("{}:{}: an unsafe block without its SAFETY line", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
