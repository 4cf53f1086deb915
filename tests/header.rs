//! `include/kafkalog.h` is generated from `src/ffi`, committed, and never stale.
//!
//! The generator runs here and not in a build script, so that users of the library do not build it.

use cbindgen::{Builder, Config, DocumentationStyle, ItemType, Language, SortKey, Style};
use kafkalog::ErrorCode;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn config() -> Config {
    let mut config = Config {
        language: Language::C,
        style: Style::Both,
        documentation_style: DocumentationStyle::C99,
        cpp_compat: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        include_guard: Some("KAFKALOG_H".to_owned()),
        header: Some(include_str!("header/conventions.h").trim_end().to_owned()),
        after_includes: Some(format!("\n{}\n{}", versions(), codes())),
        trailer: Some(include_str!("header/trailer.h").trim_end().to_owned()),
        usize_is_size_t: true,
        line_length: 120,
        tab_width: 4,
        sort_by: SortKey::Name,
        ..Config::default()
    };
    config.function.sort_by = Some(SortKey::Name);
    config.constant.sort_by = Some(SortKey::Name);
    // The function that panics on purpose is for one test, which declares it itself.
    config.export.exclude = vec!["kafkalog_test_panic".to_owned()];
    config.export.item_types =
        vec![ItemType::Constants, ItemType::Structs, ItemType::OpaqueItems, ItemType::Typedefs, ItemType::Functions];
    config
}

fn versions() -> String {
    let [major, minor, patch] =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    format!(
        "#define KAFKALOG_VERSION_MAJOR {major}\n\
         #define KAFKALOG_VERSION_MINOR {minor}\n\
         #define KAFKALOG_VERSION_PATCH {patch}\n\
         /* Compare with kafkalog_version(). */\n\
         #define KAFKALOG_VERSION_NUMBER \
         ((uint32_t)KAFKALOG_VERSION_MAJOR << 24 | (uint32_t)KAFKALOG_VERSION_MINOR << 16 | \
         (uint32_t)KAFKALOG_VERSION_PATCH << 8)\n\
         /* The number in the soname; compare with kafkalog_abi_version(). */\n\
         #define KAFKALOG_ABI_VERSION {major}\n"
    )
}

/// The codes as an enum whose type appears nowhere: a macro with a negative number would have no parentheses.
fn codes() -> String {
    let mut text = String::from(
        "/* The values of a kafkalog_code_t. Those from -1 upwards are the Kafka protocol's, those down to -200 librdkafka's,\n   \
         those from -300 downwards are kafkalog's own. A number never gets another meaning. */\nenum kafkalog_codes {\n",
    );
    for (i, code) in ErrorCode::ALL.iter().enumerate() {
        let local = if code.0 <= -100 { "_" } else { "" };
        let comma = if i + 1 < ErrorCode::ALL.len() { "," } else { "" };
        writeln!(text, "    KAFKALOG_ERR_{local}{} = {}{comma} /* {} */", code.name(), code.0, code.text())
            .expect("a String takes everything");
    }
    text + "};\n"
}

fn generated() -> String {
    // It follows the `mod` lines, and asks cargo for nothing.
    let bindings = Builder::new().with_config(config()).with_src(root().join("src/ffi/mod.rs")).generate();
    let mut raw = Vec::new();
    bindings.expect("cbindgen understands src/ffi").write(&mut raw);
    finished(&String::from_utf8(raw).expect("the header is ASCII"))
}

/// What cbindgen has no setting for: struct tags without `_t`, negative constants in parentheses, no blanks at line ends.
fn finished(raw: &str) -> String {
    let mut text = String::new();
    for line in raw.lines() {
        let mut line = line.trim_end().to_owned();
        if let Some((name, number)) = line.strip_prefix("#define ").and_then(|rest| rest.split_once(" -")) {
            if number.bytes().all(|b| b.is_ascii_digit()) {
                line = format!("#define {name} (-{number})");
            }
        }
        line = match line.strip_prefix("typedef struct ") {
            Some(rest) => format!("typedef struct {}", rest.replacen("_t ", " ", 1)),
            None => line.replace("struct kafkalog_", "kafkalog_"),
        };
        text += &line;
        text.push('\n');
    }
    text
}

#[test]
fn the_header_says_what_the_source_says() {
    let path = root().join("include/kafkalog.h");
    let (fresh, committed) = (generated(), fs::read_to_string(&path).unwrap_or_default());
    if fresh == committed {
        return;
    }
    if env::var_os("KAFKALOG_UPDATE_HEADER").is_some_and(|wish| wish == "1") {
        write(&path, &fresh);
        return;
    }
    let line = fresh.lines().zip(committed.lines()).position(|(fresh, committed)| fresh != committed);
    let line = line.unwrap_or_else(|| fresh.lines().count().min(committed.lines().count()));
    panic!(
        "include/kafkalog.h is stale from line {} on: run KAFKALOG_UPDATE_HEADER=1 cargo test --test header, look at the difference, \
         commit it\n source: {:?}\n header: {:?}",
        line + 1,
        fresh.lines().nth(line),
        committed.lines().nth(line)
    );
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in include/")).expect("include/ can be made");
    fs::write(path, text).expect("the header can be written");
}

#[test]
fn the_generator_says_the_same_twice() {
    assert_eq!(generated(), generated());
}
