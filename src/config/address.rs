//! Where nodes are, as settings say it.

use crate::types::NodeId;

/// The most nodes that `controller.quorum.voters` may name.
pub(super) const VOTERS_MAX: usize = 100;

/// The most addresses that `bootstrap.servers` may name.
pub(super) const BOOTSTRAP_MAX: usize = 1_000;

pub(super) const URL_FORMS: &str =
    "tcp://host:port, tls://host:port, unix:///path, inproc://name, or the scheme of a transport of the program's own";

/// Whether port 0, "a free one", makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Port {
    ZeroIsAFreeOne,
    Real,
}

/// Whether this may be an address of a node. What a transport of the program's own makes of its addresses is its business.
pub(super) fn is_url(text: &str, port: Port) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
    let is_line = !rest.is_empty() && !rest.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control());
    let is_whole = match scheme {
        "tcp" | "tls" => rest.rsplit_once(':').is_some_and(|(host, number)| {
            let number = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<u16>().ok()).flatten();
            !host.is_empty() && number.is_some_and(|number| number > 0 || port == Port::ZeroIsAFreeOne)
        }),
        "unix" => rest.starts_with('/') && rest.len() > 1,
        _ => true,
    };
    is_scheme && is_line && is_whole
}

/// Addresses from `tcp://a:9301,unix:///b`, in their order; `None` when that is not what it is.
pub(super) fn urls(text: &str) -> Option<Vec<String>> {
    let urls: Vec<String> = text.split(',').map(|one| one.trim().to_owned()).collect();
    (urls.len() <= BOOTSTRAP_MAX && urls.iter().all(|url| is_url(url, Port::Real))).then_some(urls)
}

/// Nodes and their addresses from `1@tcp://a:9301,2@tcp://b:9301`, by number; `None` when that is not what it is.
pub(super) fn voters(text: &str) -> Option<Vec<(NodeId, String)>> {
    let mut voters = Vec::new();
    for one in text.split(',').map(str::trim) {
        let (number, url) = one.split_once('@')?;
        let number = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<i32>().ok()).flatten()?;
        if !is_url(url, Port::Real) || voters.len() == VOTERS_MAX {
            return None;
        }
        let number = NodeId(number.unsigned_abs());
        if voters.iter().any(|(other, other_url)| *other == number || other_url == url) {
            return None;
        }
        voters.push((number, url.to_owned()));
    }
    voters.sort();
    Some(voters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_what_that_scheme_needs() {
        let legal = |text| is_url(text, Port::Real);
        for text in
            ["tcp://a:1", "tls://a:1", "tcp://[::1]:65535", "unix:///run/log.sock", "inproc://one", "mesh+2://ring/7"]
        {
            assert!(legal(text), "{text}");
        }
        for text in [
            "",
            "a:1",
            "tcp://",
            "tcp://a",
            "tcp://:1",
            "tcp://a:",
            "tcp://a:65536",
            "tcp://a:+1",
            "tcp://a:0",
            "tls://a",
            "unix://run",
            "unix:///",
            "inproc://",
            "://a",
            "Tcp://a:1",
            "tcp://a,b:1",
            "tcp://a b:1",
            "inproc://a\nb",
        ] {
            assert!(!legal(text), "{text}");
        }
        assert!(is_url("tcp://0.0.0.0:0", Port::ZeroIsAFreeOne));
    }

    #[test]
    fn voters_come_sorted_and_none_of_them_twice() {
        let two = voters("7@tcp://b:2, 1@tcp://a:1").unwrap();
        assert_eq!(two, [(NodeId(1), "tcp://a:1".to_owned()), (NodeId(7), "tcp://b:2".to_owned())]);
        for text in [
            "",
            "1",
            "1@",
            "@tcp://a:1",
            "-1@tcp://a:1",
            "+1@tcp://a:1",
            "2147483648@tcp://a:1",
            "1@tcp://a:0",
            "1@tcp://a:1,",
            "1@tcp://a:1,1@tcp://b:1",
            "1@tcp://a:1,2@tcp://a:1",
        ] {
            assert_eq!(voters(text), None, "{text}");
        }
        let many = |count| (0..count).map(|n| format!("{n}@inproc://{n}")).collect::<Vec<_>>().join(",");
        assert!(voters(&many(VOTERS_MAX)).is_some() && voters(&many(VOTERS_MAX + 1)).is_none());
    }
}
