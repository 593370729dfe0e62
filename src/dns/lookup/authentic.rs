//! Whether a resolver has verified an answer by DNSSEC: it says so with the AD bit, if the question asks for it (RFC 6840
//! section 5.7).
//!
//! Nothing is verified here, so the answer is only as trustworthy as the connection to the resolver.

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Whether the answer is authentic; `None` if the server verifies nothing, or does not answer in time.
pub(super) fn is_authentic(server: SocketAddr, name: Name, kind: RecordType, patience: Duration) -> Option<bool> {
    if asked(server, name, kind, patience)? {
        return Some(true);
    }
    // The root zone is signed: a resolver that does not say so about its SOA record verifies nothing.
    asked(server, Name::root(), RecordType::SOA, patience)?.then_some(false)
}

/// The AD bit of an answer.
fn asked(server: SocketAddr, name: Name, kind: RecordType, patience: Duration) -> Option<bool> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.metadata.authentic_data = true;
    query.add_query(Query::query(name, kind));
    let wire = query.to_vec().ok()?;
    let socket = match server {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = socket.ok()?;
    socket.connect(server).ok()?;
    socket.send(&wire).ok()?;
    let end = Instant::now() + patience;
    let mut buffer = [0; 4096];
    loop {
        let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        let length = socket.recv(&mut buffer).ok()?;
        // Answers to other questions are ignored. A truncated answer still has the bit.
        let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
        if answer.metadata.id == query.metadata.id && answer.queries == query.queries {
            return (answer.metadata.response_code == ResponseCode::NoError).then_some(answer.metadata.authentic_data);
        }
    }
}
