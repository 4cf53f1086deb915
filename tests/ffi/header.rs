//! The header alone, under every standard that programs are written in.

use crate::kit::{has, root, succeeded};
use std::process::Command;

fn accepts(compiler: &str, language: &[&str], standard: &str) {
    let mut command = Command::new(compiler);
    command.args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"]).arg(format!("-std={standard}"));
    command.args(language).arg("-I").arg(root().join("include")).arg(root().join("ffi-tests/include.c"));
    succeeded(&mut command);
}

#[test]
fn the_header_compiles_without_a_warning_as_c_and_as_cpp() {
    for compiler in ["cc", "clang"].into_iter().filter(|compiler| has(compiler)) {
        for standard in ["c99", "c11", "c17"] {
            accepts(compiler, &["-Wstrict-prototypes", "-x", "c"], standard);
        }
    }
    for compiler in ["c++", "clang++"].into_iter().filter(|compiler| has(compiler)) {
        for standard in ["c++11", "c++14", "c++17", "c++20"] {
            accepts(compiler, &["-x", "c++"], standard);
        }
    }
}

#[test]
fn no_parameter_or_member_is_called_like_a_keyword_of_cpp_go_or_rust() {
    const KEYWORDS: [&str; 24] = [
        "new",
        "class",
        "delete",
        "this",
        "template",
        "typename",
        "namespace",
        "operator",
        "private",
        "public",
        "virtual",
        "using",
        "func",
        "type",
        "range",
        "map",
        "chan",
        "interface",
        "package",
        "fn",
        "impl",
        "drop",
        "match",
        "ref",
    ];
    let header = std::fs::read_to_string(root().join("include/kafkalog.h")).expect("the header is committed");
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//") && !line.starts_with(" *"));
    for line in code {
        let names = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names {
            // In a trailing comment anything may stand.
            assert!(line.contains("/*") || !KEYWORDS.contains(&name), "{name} in: {line}");
        }
    }
}
