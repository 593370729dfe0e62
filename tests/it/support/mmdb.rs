//! Builds a small database of networks in the format of `.mmdb` files: a binary tree over address bits, followed by the
//! data.
//!
//! The format: <https://maxmind.github.io/MaxMind-DB/>. Records of 24 bits, IPv6 with IPv4 below `::/96`.

use std::net::IpAddr;

/// A value of the data section.
pub(crate) enum Value {
    Text(&'static str),
    Number(u32),
    /// 16 bits, and 64: each number in the metadata has a size of its own.
    Short(u16),
    Long(u64),
    /// 128 bits.
    Wide(u128),
    Signed(i32),
    Map(Vec<(&'static str, Value)>),
    /// An empty list.
    NoList,
}

/// What a record of the tree refers to.
#[derive(Clone, Copy)]
enum Next {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database of networks such as `192.0.2.0/24`.
pub(crate) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Next::Nothing; 2]];
    let mut data = Vec::new();
    for (network, value) in networks {
        let (address, bits) = network.split_once('/').unwrap();
        let bits: u8 = bits.parse().unwrap();
        let (address, bits) = match address.parse().unwrap() {
            IpAddr::V4(four) => (u128::from(four.to_bits()), bits + 96),
            IpAddr::V6(six) => (six.to_bits(), bits),
        };
        let offset = data.len();
        write(&mut data, value);
        put(&mut nodes, (address, bits), Next::Data(offset));
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match record {
            Next::Nothing => count,
            Next::Node(node) => *node,
            Next::Data(offset) => count + 16 + offset,
        };
        file.extend(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_795_000_000)),
        ("database_type", Value::Text("Example-Networks")),
        ("description", Value::Map(vec![("en", Value::Text("made for a test"))])),
        ("ip_version", Value::Short(6)),
        ("languages", Value::NoList),
        ("node_count", Value::Number(u32::try_from(count).unwrap())),
        ("record_size", Value::Short(24)),
    ]);
    write(&mut file, &metadata);
    file
}

/// Maps the bits of a network to a record.
fn put(nodes: &mut Vec<[Next; 2]>, (address, bits): (u128, u8), end: Next) {
    let mut node = 0;
    for bit in 0..bits {
        let side = usize::from(address >> (127 - bit) & 1 == 1);
        if bit + 1 == bits {
            nodes[node][side] = end;
        } else if let Next::Node(next) = nodes[node][side] {
            node = next;
        } else {
            nodes.push([Next::Nothing; 2]);
            let next = nodes.len() - 1;
            nodes[node][side] = Next::Node(next);
            node = next;
        }
    }
}

/// A control byte: the type in the upper three bits, the length below; lengths from 29 on have a byte of their own.
fn begin(out: &mut Vec<u8>, kind: u8, length: usize) {
    match u8::try_from(length).unwrap() {
        short @ 0..0x1d => out.push(kind << 5 | short),
        long => out.extend([kind << 5 | 0x1d, long - 0x1d]),
    }
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => {
            begin(out, 2, text.len());
            out.extend(text.bytes());
        }
        Value::Number(number) => {
            begin(out, 6, 4);
            out.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            begin(out, 5, 2);
            out.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            out.extend([8, 9 - 7]);
            out.extend(number.to_be_bytes());
        }
        Value::Wide(number) => {
            out.extend([16, 10 - 7]);
            out.extend(number.to_be_bytes());
        }
        Value::Signed(number) => {
            out.extend([4, 8 - 7]);
            out.extend(number.to_be_bytes());
        }
        // An extended type: 7 more in the next byte.
        Value::NoList => out.extend([0, 11 - 7]),
        Value::Map(pairs) => {
            begin(out, 7, pairs.len());
            for (key, value) in pairs {
                write(out, &Value::Text(key));
                write(out, value);
            }
        }
    }
}
