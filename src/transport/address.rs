//! Where a node is: `tcp://host:port`, `tls://host:port`, `unix:///path`. Dialling and listening there.

use super::errors::{host, invalid};
use super::tls::NO_TLS;
use crate::error::Result;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

/// Connections that the kernel may hold until they are accepted.
const BACKLOG: i32 = 128;
/// A peer that is silent for so long is asked whether it is there, and again after each pause; then the connection is given up.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_ATTEMPTS: u32 = 3;
/// A peer that takes or confirms nothing for so long is given up.
/// The kernel repeats at ever longer intervals: a cable that is put back after this time is found again by a new connection, at once.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Address {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

impl Address {
    /// # Errors
    /// INVALID_ARG.
    pub fn parse(url: &str) -> Result<Address> {
        let has_port = |rest: &str| {
            rest.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && !port.is_empty() && port.parse::<u16>().is_ok())
        };
        match url.split_once("://") {
            Some(("tcp", rest)) if has_port(rest) => Ok(Address::Tcp(rest.to_owned())),
            Some(("tls", _)) if !cfg!(feature = "tls") => Err(invalid(format!("'{url}': {NO_TLS}"))),
            Some(("tls", rest)) if has_port(rest) => Ok(Address::Tls(rest.to_owned())),
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            _ => Err(invalid(format!("'{url}' is neither tcp://host:port, tls://host:port nor unix:///path"))),
        }
    }

    /// The host, as a certificate would name it.
    pub fn host(&self) -> Option<&str> {
        match self {
            Address::Tcp(name) | Address::Tls(name) => {
                let (host, _) = name.rsplit_once(':')?;
                Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
            }
            Address::Unix(_) => None,
        }
    }

    /// Everything that the name stands for. May ask the network.
    pub fn resolve(&self) -> io::Result<Vec<SockAddr>> {
        match self {
            Address::Tcp(name) | Address::Tls(name) => Ok(name.to_socket_addrs()?.map(SockAddr::from).collect()),
            Address::Unix(path) => Ok(vec![SockAddr::unix(path)?]),
        }
    }

    /// A listening socket, and the address under which it can be dialled (port 0 has become a real one).
    ///
    /// # Errors
    /// TRANSPORT_HOST.
    pub fn listen(&self) -> Result<(Socket, Address)> {
        self.try_listen().map_err(|e| host(&format!("listening on {self}"), e))
    }

    fn try_listen(&self) -> io::Result<(Socket, Address)> {
        let at = self.resolve()?.into_iter().next().ok_or_else(|| io::Error::other("the name has no address"))?;
        let socket = new_socket(&at)?;
        if let Address::Unix(path) = self {
            if let Err(error) = socket.bind(&at) {
                // A socket file that nobody listens on is what a dead process has left.
                if error.kind() != io::ErrorKind::AddrInUse || new_socket(&at)?.connect(&at).is_ok() {
                    return Err(error);
                }
                std::fs::remove_file(path)?;
                socket.bind(&at)?;
            }
        } else {
            socket.set_reuse_address(true)?;
            socket.bind(&at)?;
        }
        socket.listen(BACKLOG)?;
        let bound = match (self, socket.local_addr()?.as_socket()) {
            (Address::Tcp(_), Some(bound)) => Address::Tcp(bound.to_string()),
            // The host stays as it is: a certificate names it.
            (Address::Tls(name), Some(bound)) => {
                let (host, _) = name.rsplit_once(':').unwrap_or((name, ""));
                Address::Tls(format!("{host}:{}", bound.port()))
            }
            _ => self.clone(),
        };
        Ok((socket, bound))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(name) => write!(f, "tcp://{name}"),
            Address::Tls(name) => write!(f, "tls://{name}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A stream socket for this kind of address, which no child process inherits.
pub(super) fn new_socket(at: &SockAddr) -> io::Result<Socket> {
    Socket::new(at.domain(), Type::STREAM, None)
}

/// What every connected socket gets: small frames go at once, dead peers are noticed.
pub(super) fn tune(socket: &Socket) -> io::Result<()> {
    if socket.local_addr()?.domain() == Domain::UNIX {
        return Ok(());
    }
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_ATTEMPTS);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNCONFIRMED_MAX))
}
