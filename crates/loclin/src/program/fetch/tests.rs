//! Downloads from servers of this process that do and do not behave, against a small stand-in dataset.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::datasets::{Archive, Expected, Source};
use super::download::fetch;
use super::outcome::{Fetched, Status};

#[path = "../../../tests/server/mod.rs"]
mod server;
use server::{Reply, nobody, serve};

const PIXELS: &[u8] = b"pixels pixels pixels pixels";
const LABELS: &[u8] = b"labels";
const FILES: [Expected; 2] = [
    Expected {
        name: "labels",
        length: 6,
        sha256: "d772ebb4590212c65cc31888ee55c3a893d866d8479f84a4c0ca36918a3fa75f",
    },
    Expected {
        name: "pixels",
        length: 27,
        sha256: "e6c402c8db9cb38b5ae4738c595dcb1e38db966bb7e891d48a49da3af8f2f409",
    },
];

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn good(path: &str) -> Reply {
    match path {
        "/labels.gz" => Reply::ok(gzip(LABELS)),
        "/pixels.gz" => Reply::ok(gzip(PIXELS)),
        _ => Reply::status(404),
    }
}

/// Fetches without a proxy, whatever the environment says.
fn fetch_from(mirrors: &[String], data_dir: &Path, force: bool) -> anyhow::Result<Fetched> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .build()
        .new_agent();
    let source = Source {
        folder: "small",
        mirrors: mirrors.to_vec(),
        archive: None,
        files: &FILES,
    };
    fetch(&source, &agent, data_dir, force)
}

fn statuses(fetched: &Fetched) -> Vec<Status> {
    fetched.files.iter().map(|file| file.status).collect()
}

#[test]
fn what_arrives_is_placed_and_then_kept() {
    let dir = tempfile::tempdir().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let mirror = serve(move |path| {
        counter.fetch_add(1, Ordering::SeqCst);
        good(path)
    })
    .unwrap();
    let mirrors = [mirror + "/"];
    let first = fetch_from(&mirrors, dir.path(), false).unwrap();
    assert_eq!(statuses(&first), [Status::Fetched; 2]);
    assert_eq!(
        fs::read(dir.path().join("small/pixels.gz")).unwrap(),
        gzip(PIXELS)
    );

    let second = fetch_from(&mirrors, dir.path(), false).unwrap();
    assert_eq!(statuses(&second), [Status::Kept; 2]);
    assert_eq!(
        requests.load(Ordering::SeqCst),
        2,
        "intact files need no network"
    );

    let forced = fetch_from(&mirrors, dir.path(), true).unwrap();
    assert_eq!(statuses(&forced), [Status::Fetched; 2]);
}

#[test]
fn a_failing_mirror_gives_way_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mirrors = [
        nobody().unwrap(),
        serve(|_| Reply::status(503)).unwrap(),
        serve(good).unwrap(),
    ];
    assert_eq!(
        statuses(&fetch_from(&mirrors, dir.path(), false).unwrap()),
        [Status::Fetched; 2]
    );
}

#[test]
fn a_body_that_the_server_decompressed_is_placed_under_its_plain_name() {
    let dir = tempfile::tempdir().unwrap();
    let mirror =
        serve(|path| Reply::ok(if path == "/labels.gz" { LABELS } else { PIXELS })).unwrap();
    fetch_from(std::slice::from_ref(&mirror), dir.path(), false).unwrap();
    assert_eq!(fs::read(dir.path().join("small/labels")).unwrap(), LABELS);
    assert_eq!(
        statuses(&fetch_from(&[mirror], dir.path(), false).unwrap()),
        [Status::Kept; 2]
    );
}

#[test]
fn whatever_else_arrives_is_refused_and_leaves_nothing() {
    let mut damaged = gzip(LABELS);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let cut = gzip(LABELS)[..10].to_vec();
    let cases = [
        ("404", Reply::status(404), "404"),
        ("broken off", Reply::half(&gzip(LABELS)), "broke off"),
        ("cut gzip", Reply::ok(cut), "gzip stream is damaged"),
        ("damaged gzip", Reply::ok(damaged), "labels.gz: "),
        ("other content", Reply::ok(gzip(b"lapels")), "SHA-256"),
        (
            "too short",
            Reply::ok(gzip(b"label")),
            "5 bytes; expected 6",
        ),
        ("empty", Reply::ok(""), "0 bytes; expected 6"),
        (
            "inflates without end",
            Reply::ok(gzip(&[0; 1 << 16])),
            "expected 6 bytes",
        ),
        ("endless", Reply::ok(vec![0; 1 << 20]), "broke off"),
        ("a web page", Reply::ok("<html>"), "SHA-256"),
    ];
    for (case, reply, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut reply = Some(reply);
        let mirror = serve(move |_| reply.take().unwrap_or(Reply::status(500))).unwrap();
        let error = format!(
            "{:#}",
            fetch_from(std::slice::from_ref(&mirror), dir.path(), false).unwrap_err()
        );
        assert!(
            error.contains(expected) && error.contains(&mirror),
            "{case}: {error}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{case}");
    }
}

#[test]
fn nobody_there_is_said_for_every_mirror() {
    let dir = tempfile::tempdir().unwrap();
    let mirrors = [nobody().unwrap(), nobody().unwrap()];
    let error = format!("{:#}", fetch_from(&mirrors, dir.path(), false).unwrap_err());
    assert!(
        mirrors.iter().all(|mirror| error.contains(mirror)),
        "{error}"
    );
}

#[test]
fn a_file_of_other_content_is_the_users_until_he_says_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small/labels.gz");
    fs::create_dir(dir.path().join("small")).unwrap();
    fs::write(&path, "mine").unwrap();
    let mirrors = [serve(good).unwrap()];
    let error = format!("{:#}", fetch_from(&mirrors, dir.path(), false).unwrap_err());
    assert!(
        error.contains("labels.gz") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fetch_from(&mirrors, dir.path(), true).unwrap();
    assert_eq!(fs::read(&path).unwrap(), gzip(LABELS));
}

/// Readers take the plain file of two.
#[test]
fn the_file_that_is_read_is_the_one_that_is_verified_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let [plain, packed] = ["small/labels", "small/labels.gz"].map(|name| dir.path().join(name));
    let mirrors = [serve(good).unwrap()];
    fetch_from(&mirrors, dir.path(), false).unwrap();
    fs::write(&plain, "lapels").unwrap();
    let error = format!("{:#}", fetch_from(&mirrors, dir.path(), false).unwrap_err());
    assert!(
        error.contains("small/labels: ") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(fs::read(&plain).unwrap(), b"lapels");
    let forced = fetch_from(&mirrors, dir.path(), true).unwrap();
    assert_eq!(forced.files[0].path, packed);
    assert!(packed.exists() && !plain.exists());
    // And where the server unpacks, the packed file goes.
    let unpacking = serve(|path| Reply::ok(if path == "/labels.gz" { LABELS } else { PIXELS }));
    fetch_from(&[unpacking.unwrap()], dir.path(), true).unwrap();
    assert!(plain.exists() && !packed.exists());
}

/// A gzipped tar archive of files in a folder, as datasets are published.
fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let path = format!("folder/{name}");
        archive.append_data(&mut header, path, *content).unwrap();
    }
    gzip(&archive.into_inner().unwrap())
}

fn unpack_from(mirrors: &[String], data_dir: &Path) -> anyhow::Result<Fetched> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .build()
        .new_agent();
    let source = Source {
        folder: "small",
        mirrors: mirrors.to_vec(),
        archive: Some(Archive {
            name: "small.tar.gz",
            folder: "folder",
            length: 1000,
        }),
        files: &FILES,
    };
    fetch(&source, &agent, data_dir, false)
}

#[test]
fn the_files_of_an_archive_are_placed_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tarred(&[("readme", b"-"), ("pixels", PIXELS), ("labels", LABELS)]);
    let partial = tarred(&[("pixels", PIXELS), ("labels", b"lapels")]);
    let reply = |body: Vec<u8>| serve(move |_| Reply::ok(body.clone())).unwrap();
    let bad = reply(partial);

    let error = format!(
        "{:#}",
        unpack_from(std::slice::from_ref(&bad), dir.path()).unwrap_err()
    );
    assert!(
        error.contains("no mirror gave labels") && error.contains("SHA-256"),
        "{error}"
    );
    assert_eq!(fs::read(dir.path().join("small/pixels")).unwrap(), PIXELS);
    assert!(!dir.path().join("small/labels").exists());

    // What is there is kept; what is not comes from the next mirror.
    let fetched = unpack_from(&[bad, reply(whole.clone())], dir.path()).unwrap();
    assert_eq!(statuses(&fetched), [Status::Fetched, Status::Kept]);
    let again = unpack_from(&[nobody().unwrap()], dir.path()).unwrap();
    assert_eq!(statuses(&again), [Status::Kept; 2]);
}

#[test]
fn an_archive_unpacked_by_hand_is_verified_where_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("small/folder");
    fs::create_dir_all(&inner).unwrap();
    // Of an archive no file is read packed.
    fs::write(inner.join("labels.gz"), gzip(LABELS)).unwrap();
    fs::write(inner.join("pixels"), PIXELS).unwrap();
    let whole = tarred(&[("pixels", PIXELS), ("labels", LABELS)]);
    let mirrors = [serve(move |_| Reply::ok(whole.clone())).unwrap()];
    let fetched = unpack_from(&mirrors, dir.path()).unwrap();
    assert_eq!(statuses(&fetched), [Status::Fetched, Status::Kept]);
    assert_eq!(fs::read(inner.join("labels")).unwrap(), LABELS);
    fs::write(inner.join("labels"), "lapels").unwrap();
    let error = format!("{:#}", unpack_from(&mirrors, dir.path()).unwrap_err());
    assert!(error.contains("folder/labels: "), "{error}");
}

#[test]
fn an_archive_that_is_none_leaves_nothing() {
    let whole = tarred(&[("pixels", PIXELS), ("labels", LABELS)]);
    let cases = [
        (Reply::status(404), "404"),
        (Reply::half(&whole), "small.tar.gz"),
        (Reply::ok("<html>"), "small.tar.gz"),
        (Reply::ok(tarred(&[("readme", b"-")])), "not in the archive"),
        (Reply::ok(vec![0; 1 << 20]), "small.tar.gz"),
    ];
    for (reply, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut reply = Some(reply);
        let mirror = serve(move |_| reply.take().unwrap_or(Reply::status(500))).unwrap();
        let error = format!("{:#}", unpack_from(&[mirror], dir.path()).unwrap_err());
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!dir.path().join("small/labels").exists(), "{expected}");
    }
}
