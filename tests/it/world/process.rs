//! The real `sidekey` program as a child: run to its end, or kept running. Its environment holds nothing of ours.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// A command that was not started yet.
pub(crate) struct Run {
    dir: PathBuf,
    args: Vec<String>,
    stdin: Vec<u8>,
    env: Vec<(String, String)>,
}

impl Run {
    pub(super) fn new(dir: &Path, args: Vec<String>) -> Self {
        Self { dir: dir.to_owned(), args, stdin: Vec::new(), env: Vec::new() }
    }

    /// What it reads on its standard input; nothing by default.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        bytes.as_ref().clone_into(&mut self.stdin);
        self
    }

    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        let title = format!("sidekey {}", self.args.join(" "));
        let mut running = self.start();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = running.ended() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "`{title}` does not end:\n{}", running.log());
            thread::sleep(Duration::from_millis(2));
        };
        running.join_readers();
        Outcome { title, code: status.code(), stdout: text(&running.stdout), stderr: text(&running.stderr) }
    }

    /// Starts it and lets it run.
    pub(super) fn start(self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
        command.args(&self.args).current_dir(&self.dir).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.dir).env("TMPDIR", &self.dir).env("LANG", "C.UTF-8");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        thread::spawn(move || stdin.write_all(&self.stdin)); // a program that does not read it ends it with EPIPE
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            read_into(child.stdout.take().unwrap(), &stdout), //
            read_into(child.stderr.take().unwrap(), &stderr),
        ];
        Running { child, stdout, stderr, readers }
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    title: String,
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails the test unless it exited with 0; returns the standard output.
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "`{}`\n{}{}", self.title, self.stdout, self.stderr);
        self.stdout
    }

    /// Fails the test unless it exited with `code`; returns the standard error.
    pub(crate) fn fails_with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "`{}`\n{}{}", self.title, self.stdout, self.stderr);
        self.stderr
    }

    /// Both outputs.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A child that runs until it is dropped.
pub(super) struct Running {
    child: Child,
    stdout: Bytes,
    stderr: Bytes,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    pub(super) fn log(&self) -> String {
        text(&self.stdout) + &text(&self.stderr)
    }

    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(super) fn wait(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "the proxy does not end on SIGTERM:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        };
        self.join_readers();
        (status, self.log())
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("--- the proxy's log ---\n{}", self.log());
        }
    }
}

fn read_into(mut from: impl Read + Send + 'static, into: &Bytes) -> JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}
