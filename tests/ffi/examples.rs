//! The short programs that the README shows.

use crate::kit::{built, compile, data_dir, has_or_skip, kit, root, run, Linked, C99};
use crate::programs::go_program;

#[test]
fn the_c_example_works() {
    let program = compile("cc", &C99, "examples/c/produce.c", Linked::Shared);
    assert_eq!(run(&program, &[&data_dir("example-c")]), "two coffees went to partition 0, offset 0\n");
}

#[test]
fn the_cpp_example_works() {
    let flags = ["-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror"];
    let program = compile("c++", &flags, "examples/cpp/produce.cpp", Linked::Shared);
    assert_eq!(run(&program, &[&data_dir("example-cpp")]), "0: two coffees\n1: one tea\n");
}

#[test]
fn the_go_example_works() {
    if !has_or_skip("go") {
        return;
    }
    let flags = format!("-L{}", kit().display());
    let program = go_program(&root().join("examples/go"), "go-example", &[("CGO_LDFLAGS", flags.as_ref())]);
    assert_eq!(run(&program, &[&data_dir("example-go")]), "two coffees went to partition 0, offset 0\n");
}

#[test]
fn the_rust_example_works() {
    let program = built().join("../examples/quickstart");
    if !program.exists() {
        println!("SKIP: examples/quickstart was not built; cargo test without --test builds it");
        return;
    }
    assert_eq!(run(&program, &[&data_dir("example-rust")]), "orders-0@0: two coffees\norders-0@1: one tea\n");
}
