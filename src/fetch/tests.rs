//! The rules of walking paths, on a folder made for each test.

use super::files::walk::Walk;
use super::item::{FetchError, Fetched, Item};
use crate::limits::Limits;
use jiff::Timestamp;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const XML: &[u8] = b"<feedback/>";
const MAIL: &[u8] = b"From: a@example.com\nSubject: x\n\nbody\n";
const MBOX: &[u8] = b"From a@example.com Wed Mar  4 01:10:00 2026\nFrom: a@example.com\n\none\n\n\
                      From a@example.com Wed Mar  4 01:10:00 2026\nFrom: b@example.com\n\ntwo\n>From here\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What walking this folder returns: origins below the folder, with a word for what they are.
    fn walk(&self) -> Vec<String> {
        self.walk_from(&[self.0.path().to_owned()], &Limits::default())
    }

    fn walk_from(&self, paths: &[PathBuf], limits: &Limits) -> Vec<String> {
        let below = |origin: &str| {
            let root = format!("{}/", self.0.path().display());
            origin.strip_prefix(&root).unwrap_or(origin).to_owned()
        };
        let word = |fetched| match fetched {
            Ok(Fetched::Item(item)) => format!("item {}", below(&item.origin)),
            Ok(Fetched::SetAside { origin }) => format!("aside {}", below(&origin)),
            Ok(Fetched::LinkOut { origin }) => format!("link {}", below(&origin)),
            Ok(Fetched::TooLarge { origin, size, .. }) => format!("large {} {size}", below(&origin)),
            Ok(other) => format!("{other:?}"),
            Err(FetchError::File { origin, action, .. }) => format!("error {} {action}", below(&origin)),
            Err(other) => other.to_string(),
        };
        Walk::new(paths, limits.clone(), Timestamp::UNIX_EPOCH).map(word).collect()
    }
}

fn items(path: &Path) -> Vec<Item> {
    let walk = Walk::new(&[path.to_owned()], Limits::default(), Timestamp::UNIX_EPOCH);
    let item = |fetched| match fetched {
        Ok(Fetched::Item(item)) => item,
        other => panic!("expected an item, found {other:?}"),
    };
    walk.map(item).collect()
}

#[test]
fn a_folder_is_walked_by_name_with_all_below_it() {
    let folder = Folder::new(&[("b.xml", XML), ("a/z.eml", MAIL), ("a/b/c.gz", b"\x1f\x8b\x08"), ("c", XML)]);
    assert_eq!(folder.walk(), ["item a/b/c.gz", "item a/z.eml", "item b.xml", "item c"]);
}

#[test]
fn a_file_that_is_no_report_is_set_aside_in_a_folder_and_an_item_if_given() {
    let folder = Folder::new(&[
        ("notes.txt", b"remember the milk"),
        ("picture", b"\x89PNG\r\n\x1a\n...."),
        ("settings.toml", b"a = 1"),
        ("page.html", b"<html><p>hello"),
        ("drawing.svg", b"<?xml version='1.0'?><svg/>"),
        ("data.json", b"{\"a\": 1}"),
        ("empty", b""),
    ]);
    let found = folder.walk();
    assert!(found.len() == 7 && found.iter().all(|line| line.starts_with("aside ")), "{found:?}");
    let given = folder.walk_from(&[folder.path("notes.txt"), folder.path("empty")], &Limits::default());
    assert_eq!(given, ["item notes.txt", "item empty"]);
}

#[test]
fn a_reports_name_makes_an_item_of_anything() {
    let name = "receiver.example.net!example.com!1772496000!1772582399";
    let folder = Folder::new(&[("a.xml", b"unused"), ("b.xml.gz", b""), ("c.zip", b"junk"), (name, b"\0\0")]);
    assert_eq!(folder.walk().iter().filter(|line| line.starts_with("item ")).count(), 4);
}

#[test]
fn what_its_name_says_is_mail_is_never_set_aside() {
    for name in [
        "a.eml",
        "a.emlx",
        "a.partial.emlx",
        "A.MSG",
        "a.mbox",
        "a.pst",
        "message.rpmsg",
        "winmail.dat",
        "smime.p7m",
        "a.olm",
    ] {
        let folder = Folder::new(&[(name, b"\x00\x01"), ("z.png", b"\x89PNG")]);
        assert_eq!(folder.walk(), [format!("item {name}"), "aside z.png".to_owned()]);
    }
    let folded = format!("X-Scan:{}\nFrom: a@example.com\n\nbody\n", "\n folded".repeat(3000));
    let emlx = [b"40\n", MAIL, b"<?xml version=\"1.0\"?><plist/>"].concat();
    let message = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], b"_\0_\0s\0u\0b\0s\0t\0g\x001\0.\x000\0_\0"].concat();
    let folder = Folder::new(&[("a", folded.as_bytes()), ("b", &emlx), ("c", &message)]);
    assert_eq!(folder.walk(), ["item a", "item b", "item c"]);
}

#[test]
fn json_is_an_item_where_it_is_a_tls_report() {
    let folder = Folder::new(&[("a.json", b"{\"organization-name\": \"x\", \"policies\": []}"), ("b.json", b"{}")]);
    assert_eq!(folder.walk(), ["item a.json", "aside b.json"]);
}

#[test]
fn a_path_that_is_not_there_is_a_local_fault_and_the_rest_is_still_walked() {
    let folder = Folder::new(&[("a.xml", XML)]);
    let paths = [folder.path("gone"), folder.path("a.xml")];
    assert_eq!(folder.walk_from(&paths, &Limits::default()), ["error gone open", "item a.xml"]);
    let error = Walk::new(&paths, Limits::default(), Timestamp::UNIX_EPOCH).next().unwrap().unwrap_err();
    assert!(error.to_string().ends_with("gone: cannot open: No such file or directory (os error 2)"), "{error}");
}

#[test]
fn a_file_arrives_when_it_is_read_and_keeps_its_name() {
    let folder = Folder::new(&[("dir/report.xml", XML)]);
    let [item] = &items(&folder.path("dir/report.xml"))[..] else { panic!("one item") };
    assert_eq!((item.name.as_deref(), item.arrival), (Some("report.xml"), Timestamp::UNIX_EPOCH));
    assert_eq!(item.bytes, XML);
}

#[test]
fn a_mailbox_file_gives_its_messages_unquoted_and_numbered() {
    let folder = Folder::new(&[("inbox.mbox", MBOX)]);
    assert_eq!(folder.walk(), ["item inbox.mbox > message 1", "item inbox.mbox > message 2"]);
    let items = items(&folder.path("inbox.mbox"));
    assert_eq!(items[0].bytes, b"From: a@example.com\n\none\n");
    assert_eq!(items[1].bytes, b"From: b@example.com\n\ntwo\nFrom here\n");
    assert_eq!(items[0].name, None);
}

#[test]
fn a_large_compressed_mailbox_gives_its_messages_and_damage_makes_it_one_item() {
    let noise: String =
        (0..200_000_u64).fold(String::new(), |all, n| all + &format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let content = [MBOX, noise.as_bytes()].concat();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&content).unwrap();
    let gzip = encoder.finish().unwrap();
    assert!(gzip.len() > 64 << 10);
    let folder = Folder::new(&[("a.gz", &gzip), ("b.gz", &gzip[..gzip.len() - 5])]);
    assert_eq!(folder.walk(), ["item a.gz > message 1", "item a.gz > message 2", "item b.gz > message 1", "item b.gz"]);
}

#[test]
fn a_maildir_gives_new_before_cur_and_nothing_half_written() {
    let folder = Folder::new(&[
        ("box/tmp/1", MAIL),
        ("box/new/3.host", MAIL),
        ("box/cur/2.host:2,S", b"binary \x00 message without a header"),
        ("box/.Archive/cur/4.host:2,", MAIL),
        ("box/.Archive/new/.keep", b""),
        ("box/.Archive/tmp/.keep", b""),
    ]);
    let found = folder.walk();
    assert_eq!(found[0], "item box/new/3.host");
    assert!(found.contains(&"item box/cur/2.host:2,S".to_owned()), "a message is an item whatever is in it: {found:?}");
    assert!(found.contains(&"item box/.Archive/cur/4.host:2,".to_owned()));
    assert!(!found.iter().any(|line| line.contains("tmp")));
}

#[test]
fn a_maildir_message_whose_flags_change_is_found_again() {
    let folder = Folder::new(&[("new/a.host", MAIL), ("cur/b.host:2,", MAIL), ("tmp/x", b"")]);
    let mut walk = Walk::new(&[folder.0.path().to_owned()], Limits::default(), Timestamp::UNIX_EPOCH);
    assert!(matches!(walk.next(), Some(Ok(Fetched::Item(_)))));
    // `cur` is listed with its first message.
    fs::write(folder.path("cur/a0.host:2,"), MAIL).unwrap();
    assert!(matches!(walk.next(), Some(Ok(Fetched::Item(item))) if item.origin.ends_with("a0.host:2,")));
    fs::rename(folder.path("cur/b.host:2,"), folder.path("cur/b.host:2,RS")).unwrap();
    assert!(matches!(walk.next(), Some(Ok(Fetched::Item(item))) if item.origin.ends_with("b.host:2,RS")));
    assert!(walk.next().is_none());
}

#[test]
fn files_over_the_limit_are_named_and_not_read() {
    let folder = Folder::new(&[("large.xml", &[b'<'; 4000]), ("small.xml", XML)]);
    let limits = Limits { item_bytes: 1000, ..Limits::default() };
    assert_eq!(folder.walk_from(&[folder.0.path().to_owned()], &limits), ["large large.xml 4000", "item small.xml"]);
    let long = [MBOX, &b"long line\n".repeat(500)].concat();
    let folder = Folder::new(&[("inbox", &long)]);
    let found = folder.walk_from(&[folder.path("inbox")], &limits);
    assert_eq!(found, ["item inbox > message 1", "large inbox > message 2 5036"]);
}

#[test]
fn links_in_a_circle_and_pipes_do_not_hold_the_walk() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new(&[("a/report.xml", XML)]);
    symlink(folder.path("a"), folder.path("a/again")).unwrap();
    symlink(folder.0.path(), folder.path("a/up")).unwrap();
    symlink(folder.path("nothing"), folder.path("dangling")).unwrap();
    symlink(folder.path("loop"), folder.path("loop")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(fifo.unwrap().success());
    assert_eq!(folder.walk(), ["item a/report.xml", "aside dangling", "aside loop", "aside pipe"]);
}

#[test]
fn a_link_out_of_a_folder_is_followed_only_if_it_was_given() {
    use std::os::unix::fs::symlink;
    let outside = Folder::new(&[("report.xml", XML), ("below/report.xml", XML)]);
    let folder = Folder::new(&[("in/new/x", MAIL), ("in/cur/y", MAIL), ("in/tmp/z", MAIL), ("own.xml", XML)]);
    symlink(outside.path("report.xml"), folder.path("report.xml")).unwrap();
    symlink(outside.path("below"), folder.path("folder")).unwrap();
    symlink("/dev/zero", folder.path("zero.xml")).unwrap();
    symlink(outside.path("report.xml"), folder.path("in/cur/mail:2,S")).unwrap();
    symlink(folder.path("report.xml"), folder.path("twice.xml")).unwrap();
    symlink("..", folder.path("up")).unwrap();
    // A folder whose name only begins like this one's is another folder.
    let beside = format!("{}-beside", folder.0.path().display());
    fs::create_dir(&beside).unwrap();
    fs::write(format!("{beside}/report.xml"), XML).unwrap();
    symlink(format!("{beside}/report.xml"), folder.path("beside.xml")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(folder.path("socket.xml")).unwrap();
    assert_eq!(
        folder.walk(),
        [
            "link beside.xml",
            "link folder",
            "item in/new/x",
            "link in/cur/mail:2,S",
            "item in/cur/y",
            "item own.xml",
            "link report.xml",
            "aside socket.xml",
            "link twice.xml",
            "link up",
            "link zero.xml",
        ]
    );
    drop(socket);
    fs::remove_dir_all(beside).unwrap();
    // Given on the command line, they are followed.
    let given = [folder.path("folder"), folder.path("report.xml")];
    assert_eq!(folder.walk_from(&given, &Limits::default()), ["item folder/report.xml", "item report.xml"]);
}

#[test]
fn a_pipe_that_is_given_is_read_once_to_its_end() {
    let folder = Folder::new(&[]);
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    compressed.write_all(&[MBOX, &vec![b'x'; 100_000]].concat()).unwrap();
    let damaged = compressed.finish().unwrap()[..90_000].to_vec();
    for (content, expected) in [(MAIL.to_vec(), "item pipe"), (damaged, "error pipe read")] {
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, content)
        });
        let found = folder.walk_from(std::slice::from_ref(&pipe), &Limits::default());
        writer.join().unwrap().unwrap();
        assert_eq!(found.last().map(String::as_str), Some(expected), "{found:?}");
    }
}

#[test]
fn a_link_to_a_file_is_the_file() {
    let folder = Folder::new(&[("store/report.xml", XML)]);
    std::os::unix::fs::symlink(folder.path("store/report.xml"), folder.path("link")).unwrap();
    assert_eq!(folder.walk(), ["item link", "item store/report.xml"]);
}

#[test]
fn the_same_folder_given_twice_is_walked_twice() {
    let folder = Folder::new(&[("a.xml", XML)]);
    let paths = [folder.0.path().to_owned(), folder.0.path().to_owned()];
    assert_eq!(folder.walk_from(&paths, &Limits::default()), ["item a.xml", "item a.xml"]);
}
