//! `serve`, started and stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

/// A server that ends with its owner.
pub(super) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it on a port that is free, and waits for its address.
    ///
    /// # Errors
    /// A program that cannot be run, or ends.
    pub(super) fn start(program: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").args(arguments).args(["--port", "0"]);
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        // From here on it ends with its owner.
        let mut server = Self {
            child: child.context("cannot run serve")?,
            address: String::new(),
        };
        let stdout = server.child.stdout.take().context("no output")?;
        BufReader::new(stdout).read_line(&mut server.address)?;
        server.address = server.address.trim().to_owned();
        ensure!(
            server.address.starts_with("http://127.0.0.1:"),
            "serve printed no address"
        );
        Ok(server)
    }

    /// Where it is, with a slash at its end.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for a page, which has to be there.
    ///
    /// # Errors
    /// No answer, or one that is no page.
    pub(super) fn ask(&self, path: &str) -> anyhow::Result<()> {
        let host = self
            .address
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let line = answer.lines().next().unwrap_or_default();
        ensure!(line.ends_with("200 OK"), "{path}: {line}");
        Ok(())
    }

    /// Stops it by SIGTERM, after which it ends with 143.
    ///
    /// # Errors
    /// Another end.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        ensure!(sent.is_ok_and(|sent| sent.success()), "kill -TERM {id}");
        let status = self.child.wait()?;
        ensure!(status.code() == Some(143), "serve after SIGTERM: {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
