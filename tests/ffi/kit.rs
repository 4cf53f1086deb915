//! What a C programmer has: the header, the library as it was just built, a compiler.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

/// All warnings, as errors, for C that any compiler takes.
pub const C99: [&str; 7] = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wstrict-prototypes", "-Werror", "-g"];

/// What a static library of ours needs beside itself (`rustc --print native-static-libs`).
const STATIC_NEEDS: [&str; 4] = ["-lgcc_s", "-lpthread", "-lm", "-ldl"];

/// A program that hangs is ended by timeout(1) after this many seconds.
const SECONDS_MAX: &str = "300";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    Shared,
    Static,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo put the library of this very build: beside the test program, which it built it for.
pub fn built() -> PathBuf {
    let test = env::current_exe().expect("the test knows where it is");
    test.parent().expect("it lies in a directory").to_owned()
}

pub fn shared_library() -> PathBuf {
    built().join("libkafkalog.so")
}

/// A directory of this run's own.
pub fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();
    SCRATCH.get_or_init(|| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("target/tmp can be written")).path()
}

/// What an installation would be: the library under both of its names, and what pkg-config says of it. Each build has its own place, in
/// every run the same, which Go programs are told.
pub fn kit() -> &'static Path {
    static KIT: OnceLock<PathBuf> = OnceLock::new();
    KIT.get_or_init(|| {
        let built = built();
        let profile = built.parent().and_then(Path::file_name).expect("cargo's directories have names");
        let kit = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit").join(profile);
        fs::create_dir_all(&kit).expect("target/tmp can be written");
        let place = |name: &str, make: &dyn Fn(&Path) -> std::io::Result<()>| {
            // Another run may be at it, or use it.
            let new = scratch().join(name);
            make(&new).and_then(|()| fs::rename(&new, kit.join(name))).expect("the kit can be written");
        };
        for name in ["libkafkalog.so", "libkafkalog.so.0"] {
            place(name, &|new| std::os::unix::fs::symlink(shared_library(), new));
        }
        let pc = format!(
            "Name: kafkalog\nDescription: kafkalog\nVersion: {}\nCflags: -I{}\nLibs: -L{} -lkafkalog\n",
            env!("CARGO_PKG_VERSION"),
            root().join("include").display(),
            kit.display()
        );
        place("kafkalog.pc", &|new| fs::write(new, &pc));
        kit
    })
}

/// Compiles one source file into a program; its warnings are errors.
pub fn compile(compiler: &str, flags: &[&str], source: &str, linked: Linked) -> PathBuf {
    let name = source.replace(['/', '.'], "_");
    let program = scratch().join(format!("{name}-{}", if linked == Linked::Static { "static" } else { "shared" }));
    let mut command = Command::new(compiler);
    command.args(flags).arg("-I").arg(root().join("include")).arg("-I").arg(root().join("ffi-tests"));
    command.arg(root().join(source)).arg("-o").arg(&program);
    match linked {
        Linked::Shared => command.arg("-L").arg(kit()).args(["-lkafkalog", "-lpthread"]),
        Linked::Static => command.arg(built().join("libkafkalog.a")).args(STATIC_NEEDS),
    };
    succeeded(&mut command);
    program
}

/// Runs a program on a directory of its own. It has to end well, and stderr has to stay empty: the library never prints.
pub fn run(program: &Path, arguments: &[&str]) -> String {
    let output = command(program).args(arguments).output().expect("timeout(1) is there");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let name = program.file_name().expect("a program has a name").to_string_lossy();
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{stdout}{stderr}", output.status);
    assert_eq!(stderr, "", "{name} wrote to stderr");
    stdout
}

pub fn command(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", SECONDS_MAX]).arg(program).env("LD_LIBRARY_PATH", kit());
    command
}

/// A fresh directory path for one program's data; it does not exist yet.
pub fn data_dir(name: &str) -> String {
    scratch().join(format!("{name}-data")).display().to_string()
}

/// Runs a tool; what it printed, when it succeeded.
pub fn succeeded(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Whether a tool can be called at all.
pub fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok() || Command::new(tool).arg("version").output().is_ok()
}

/// For tools that a developer may miss and CI may not.
pub fn has_or_skip(tool: &str) -> bool {
    if has(tool) {
        return true;
    }
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has to have {tool}");
    println!("SKIP: {tool} is not installed");
    false
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
