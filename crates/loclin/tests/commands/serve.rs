//! `serve`, asked by HTTP as a browser does, and as one should not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use image::{Rgb, RgbImage};

use crate::fixture::{command, model, small_data, text, train};
use crate::refusal::refused;

/// A server that ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(&["serve", "--port", "0", "--quiet"]);
        let command = command.args(arguments).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("http://127.0.0.1:").unwrap();
        let port = port.strip_suffix('/').unwrap().parse().unwrap();
        Self { child, port }
    }

    /// The status and all of what is answered to these bytes.
    fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let port = self.port;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        ))
    }

    fn page(&self, path: &str) -> String {
        let (status, page) = self.get(path);
        assert_eq!(status, 200, "{path}: {page}");
        page
    }

    /// The exit code after a signal.
    fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certified network, and the folder that it is in.
fn certified() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    small_data(dir.path());
    model(&path("net.safetensors"), &[1, 6, 6], &[9, 5]);
    certify(
        dir.path(),
        "m.csv",
        &["--model", "net.safetensors", "--data", "data"],
    );
    dir
}

/// Certifies in a folder.
fn certify(folder: &Path, out: &str, about: &[&str]) {
    let output = command(&["certify", "--out", out, "--quiet"])
        .args(about)
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{about:?}: {stderr}");
}

/// Inputs of 1 x 6 x 6 numbers, all of them the same.
fn write_array(file: &Path, inputs: &[f64]) {
    let rows: Vec<f64> = inputs.iter().flat_map(|number| [*number; 36]).collect();
    let shape = (inputs.len(), 1, 6, 6);
    let array = Tensor::from_vec(rows, shape, &Device::Cpu).unwrap();
    array.write_npy(file).unwrap();
}

#[test]
fn inputs_are_listed_found_and_opened() {
    let dir = certified();
    // From another folder: paths are those of the certification.
    let elsewhere = tempfile::tempdir().unwrap();
    let table = dir.path().join("m.csv");
    let server = Server::start(elsewhere.path(), &[text(&table)]);
    let list = server.page("/");
    for promised in [
        "Rows 1 to 25 of 40",
        "href=\"/input/7\"",
        "src=\"data:image/png",
        "mistakes only",
        "More rows",
        "Content-Security-Policy: default-src 'none'",
        "frame-ancestors 'none'",
        "--model net.safetensors",
    ] {
        assert!(list.contains(promised), "{promised}: {list}");
    }
    assert!(!list.contains("<script"));
    let rest = server.page("/?page=2");
    assert!(rest.contains("Rows 26 to 40 of 40") && rest.contains("/input/39?page=2"));
    let sorted = server.page("/?sort=eps_2&descending=1");
    assert!(sorted.contains("aria-sort=\"descending\""));
    let none = server.page("/?column=eps_2&least=1e9");
    assert!(none.contains("No row matches"));
    let (status, page) = server.get("/?sort=eps_3&least=small");
    assert!(
        status == 400 && page.contains("no column `eps_3`") && page.contains("found `small`"),
        "{page}"
    );
    let input = server.page("/input/7?sort=eps_2");
    for promised in [
        "What the table says",
        "eps_inf",
        "guarantee",
        "neuron",
        "gradient",
        "/?sort=eps_2",
    ] {
        assert!(input.contains(promised), "{promised}: {input}");
    }
    assert_eq!(input.matches("<img ").count(), 2);
    let nearby = server.page("/input/7?eps=4/256&seconds=2");
    for promised in [
        "most distorting input found",
        "the gradient changes by at most",
        "class=\"bounds\"",
    ] {
        assert!(nearby.contains(promised), "{promised}: {nearby}");
    }
    for wrong in [
        "eps=-1&seconds=2",
        "eps=1/256&seconds=1e9",
        "eps=1/256&seconds=x",
    ] {
        let refused = server.page(&format!("/input/7?{wrong}"));
        assert!(refused.contains("expected a"), "{wrong}");
    }
    assert_eq!(server.stop("-TERM"), Some(143));
}

#[test]
fn a_table_that_was_edited_says_so() {
    let dir = certified();
    let table = dir.path().join("m.csv");
    let word = "The table was changed since it was written";
    let server = Server::start(dir.path(), &["m.csv"]);
    assert!(!server.page("/").contains(word));
    server.stop("-TERM");
    let text = fs::read_to_string(&table).unwrap();
    let at = text.rfind("proved").unwrap();
    fs::write(
        &table,
        format!(
            "{}{}",
            &text[..at],
            text[at..].replacen("proved", "probed", 1)
        ),
    )
    .unwrap();
    let server = Server::start(dir.path(), &["m.csv"]);
    assert!(server.page("/").contains(word));
    server.stop("-TERM");
}

#[test]
fn nothing_but_pages_is_answered() {
    let dir = certified();
    let server = Server::start(dir.path(), &["m.csv"]);
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/input/../m.csv",
        "/input/7/",
        "/input/-1",
        "/input/40",
        "/input/99999999999999999999999",
        "/input/",
        "/m.csv",
        "//",
        "/net.safetensors",
    ] {
        let (status, answer) = server.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(answer.contains("There is no such page") && !answer.contains("root:"));
    }
    let port = server.port;
    let host = format!("Host: localhost:{port}");
    let status = |request: &str| server.send(request).0;
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{host}\r\n\r\n")), 200);
    let cases = [
        (
            format!("POST / HTTP/1.1\r\n{host}\r\nContent-Length: 0\r\n\r\n"),
            405,
        ),
        (format!("DELETE /input/1 HTTP/1.1\r\n{host}\r\n\r\n"), 405),
        // A foreign name that leads to this machine.
        (
            format!("GET / HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            421,
        ),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".into(), 421),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("nonsense\r\n\r\n".into(), 400),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "a".repeat(20_000)),
            431,
        ),
    ];
    for (request, expected) in cases {
        let (status, answer) = server.send(&request);
        assert_eq!(status, expected, "{:.60}", request);
        assert!(!answer.contains("m.csv"));
    }
    let (status, head) = server.send(&format!("HEAD / HTTP/1.1\r\n{host}\r\n\r\n"));
    assert!(status == 200 && head.ends_with("\r\n\r\n"));
    // One that says nothing does not keep others waiting.
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(server.get("/favicon.ico").0, 204);
    silent.shutdown(Shutdown::Both).unwrap();
    assert_eq!(server.stop("-INT"), Some(130));
}

#[test]
fn files_that_were_moved_or_changed_are_named_with_the_remedy() {
    let dir = certified();
    let path = |name: &str| dir.path().join(name);
    fs::rename(path("net.safetensors"), path("moved.safetensors")).unwrap();
    let server = Server::start(dir.path(), &["m.csv"]);
    assert!(server.page("/").contains("No pictures and no gradients"));
    let (status, page) = server.get("/input/3");
    assert_eq!(status, 409);
    for promised in [
        "The model is not where it was",
        "serve m.csv --model PATH",
        "eps_2",
    ] {
        assert!(page.contains(promised), "{promised}: {page}");
    }
    // Another model in its place is refused; the right one elsewhere is taken.
    model(&path("net.safetensors"), &[1, 6, 6], &[8, 5]);
    let (status, page) = server.get("/input/3");
    assert!(status == 409 && page.contains("Not what the result was made of: model"));
    let moved = Server::start(dir.path(), &["m.csv", "--model", "moved.safetensors"]);
    moved.page("/input/3");
    fs::remove_file(path("net.safetensors")).unwrap();
    fs::copy(path("moved.safetensors"), path("net.safetensors")).unwrap();
    server.page("/input/3");
    let images = path("data").join("t10k-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&images, bytes).unwrap();
    let changed = Server::start(dir.path(), &["m.csv"]);
    let (status, page) = changed.get("/input/3");
    assert!(
        status == 409 && page.contains("Not what the result was made of: data"),
        "{page}"
    );
    fs::remove_file(path("m.csv.job")).unwrap();
    let alone = Server::start(dir.path(), &["m.csv"]);
    assert!(alone.page("/").contains("Rows 1 to 25"));
    let (status, page) = alone.get("/input/3");
    assert!(status == 409 && page.contains("no journal"), "{page}");
}

/// Whatever `certify` took as data is found from another folder.
#[test]
fn data_are_found_however_they_were_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // A known name means the dataset even where a folder of that name exists.
    for folder in ["inputs", "pictures", "digits"] {
        fs::create_dir(path(folder)).unwrap();
    }
    for (at, number) in [0.2, 0.4, 0.6].into_iter().enumerate() {
        write_array(&path(&format!("inputs/a{at}.npy")), &[number]);
    }
    let picture = RgbImage::from_fn(4, 4, |x, y| Rgb([x as u8 * 60, y as u8 * 60, 90]));
    picture.save(path("pictures/a.png")).unwrap();
    fs::write(path("pictures/b.png"), "no picture").unwrap();
    model(&path("net.safetensors"), &[1, 6, 6], &[9, 5]);
    model(&path("rgb.safetensors"), &[3, 4, 4], &[9]);
    model(&path("digits.safetensors"), &[1, 28, 28], &[9]);
    let elsewhere = tempfile::tempdir().unwrap();
    for (network, data) in [
        ("net", "inputs/a?.npy"),
        ("net", "inputs/*.npy"),
        ("net", "./inputs/a1.npy"),
        ("rgb", "pictures,broken=skip"),
        ("rgb", "pictures/a.png,grey=refuse"),
        ("digits", "digits"),
    ] {
        let network = format!("{network}.safetensors");
        let about = ["--model", &network, "--data", data, "--limit", "1"];
        certify(dir.path(), "m.csv", &[&about[..], &["--force"]].concat());
        let server = Server::start(elsewhere.path(), &[text(&path("m.csv"))]);
        let page = server.page("/input/0");
        assert!(
            page.contains("its gradient has the l1 norm"),
            "{data}: {page}"
        );
    }
}

#[test]
fn another_box_of_inputs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("net.safetensors"), &[1, 6, 6], &[9, 5]);
    write_array(&path("x.npy"), &[0.5]);
    write_array(&path("box.npy"), &[0.4, 0.6]);
    let about = ["--model", "net.safetensors", "--data", "x.npy"];
    let boxed = [&about[..], &["--domain", "box.npy"]].concat();
    certify(dir.path(), "m.csv", &boxed);
    // Found from another folder, and read once: what was opened is what the result was made of.
    let elsewhere = tempfile::tempdir().unwrap();
    let before = Server::start(elsewhere.path(), &[text(&path("m.csv"))]);
    before.page("/input/0");
    write_array(&path("box.npy"), &[-7.0, 9.0]);
    before.page("/input/0?eps=1/256&seconds=1");
    let after = Server::start(elsewhere.path(), &[text(&path("m.csv"))]);
    let (status, page) = after.get("/input/0");
    let promised = ["Not what the result was made of: domain", "Put it back."];
    let is_refused = promised.iter().all(|text| page.contains(text));
    assert!(status == 409 && is_refused, "{page}");
    fs::remove_file(path("box.npy")).unwrap();
    let (status, page) = after.get("/input/0");
    assert!(status == 409 && page.contains("box.npy"), "{page}");
    write_array(&path("box.npy"), &[0.4, 0.6]);
    after.page("/input/0");
}

/// As many slow connections as are answered at a time: each has a time, however it is spent.
#[test]
fn slow_requests_do_not_keep_others_waiting_for_long() {
    let dir = certified();
    let server = Server::start(dir.path(), &["m.csv"]);
    let port = server.port;
    let slow: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let head =
                format!("POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 999\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                for mut stream in &slow {
                    // One that was closed is one that no longer waits.
                    let _ = stream.write_all(b"x");
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let start = Instant::now();
        let (status, _) = server.get("/favicon.ico");
        let waited = start.elapsed();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(status, 204);
        assert!(waited < Duration::from_secs(15), "{waited:?}");
    });
}

#[test]
fn bounds_and_runs_are_served() {
    let dir = certified();
    let asked = [
        "bound",
        "--model",
        "net.safetensors",
        "--data",
        "data",
        "--limit",
        "3",
    ];
    let output = command(&asked)
        .args([
            "--eps", "0.01", "--eps", "0.05", "--out", "b.csv", "--quiet",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let server = Server::start(dir.path(), &["b.csv"]);
    assert!(server.page("/").contains("Rows 1 to 6 of 6"));
    let input = server.page("/input/2");
    for promised in [
        "Beyond the region",
        "within 0.0500",
        "radius of",
        "class=\"bounds\"",
    ] {
        assert!(input.contains(promised), "{promised}: {input}");
    }
    let run = dir.path().join("run");
    let data = format!("dataset={}", text(&dir.path().join("data")));
    train(&run, &[&data, "hidden=[7,5]", "epochs=1"], &[]);
    let server = Server::start(dir.path(), &["run"]);
    assert!(server.page("/").contains("Rows 1 to 25 of 40"));
    assert!(
        server
            .page("/input/2")
            .contains("constant within an linf radius")
    );
}

#[test]
fn what_is_no_result_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "a,b\n1,2\n").unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    refused(
        dir.path(),
        "serve @a.csv --port 0",
        1,
        "a.csv: not a table|index",
    );
    refused(
        dir.path(),
        "serve @none.csv --port 0",
        1,
        "none.csv|No such file",
    );
    refused(dir.path(), "serve @empty --port 0", 1, "empty|config.toml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(dir.path().join("b.csv"), "index,b\n1,2\n").unwrap();
    let arguments = format!("serve @b.csv --port {port}");
    refused(dir.path(), &arguments, 1, "cannot be opened");
}
