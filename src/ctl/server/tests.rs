//! The server as a client sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use crossbeam::channel::bounded;

use super::*;
use crate::ctl::{Client, CtlError};
use crate::engine::command::{DoneAnswer, Membership};

/// A server on a path of its own, stopped at the end.
struct Running {
    dir: tempfile::TempDir,
    stop: Stopper,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn new(execute: impl Fn(Command) -> Answer + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(&dir.path().join("s")).unwrap();
        let stop = server.stopper();
        Self { dir, stop, thread: Some(thread::spawn(move || server.run(execute))) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// Stops, and returns how long that took.
    fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
        start.elapsed()
    }

    /// Sends `request` as it is and returns what comes back until the server closes or `lines` lines have come.
    fn raw(&self, request: &[u8], lines: usize) -> Vec<Answer> {
        let mut stream = UnixStream::connect(self.path()).unwrap();
        stream.write_all(request).unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok).take(lines);
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Answers with what it understood.
fn repeat(command: Command) -> Answer {
    Answer::Done(DoneAnswer::said(format!("{command:?}")))
}

fn join() -> Command {
    Command::Join(Membership::of([232, 1, 2, 3]).from_source(Some([198, 18, 0, 1])).on("p0"))
}

#[test]
fn a_client_asks_twice_on_one_connection() {
    let running = Running::new(repeat);
    let mut client = Client::connect(&running.path()).unwrap();
    assert_eq!(client.request(&Command::Stats).unwrap(), repeat(Command::Stats));
    assert_eq!(client.request(&join()).unwrap(), repeat(join()));
}

#[test]
fn a_malformed_request_is_answered_and_the_next_one_served() {
    let running = Running::new(repeat);
    let answers = running.raw(
        b"stats\n{\"command\":\"dance\"}\n{\"command\":\"join\",\"group\":\"239.1.2.3\",\"port\":\"p0\",\"ttl\":1}\n\
          \xff\xfe\n\n{\"command\":\"drops\"}\n",
        6,
    );
    let [not_json, unknown, key, not_utf8, empty, drops] = &answers[..] else { panic!("{answers:?}") };
    for (answer, why) in
        [(not_json, "expected value"), (unknown, "`dance`"), (key, "`ttl`"), (not_utf8, ""), (empty, "EOF")]
    {
        let Answer::Error(sentence) = answer else { panic!("{answer:?}") };
        assert!(sentence.starts_with("not a request: ") && sentence.contains(why), "{sentence}");
        assert!(sentence.ends_with("as {\"command\":\"stats\"}"), "{sentence}");
    }
    assert_eq!(*drops, repeat(Command::Drops));
}

#[test]
fn an_endless_request_is_cut_off() {
    let running = Running::new(repeat);
    let answers = running.raw(&vec![b' '; REQUEST_MAX + 1], 2);
    assert_eq!(answers, [Answer::Error("a request is one line of at most 65536 bytes".into())]);
}

#[test]
fn one_client_too_many_is_told_so_and_a_place_is_free_again_after_one_leaves() {
    let running = Running::new(repeat);
    let mut clients: Vec<_> = (0..SESSIONS_MAX).map(|_| Client::connect(&running.path()).unwrap()).collect();
    for client in &mut clients {
        client.request(&Command::Ports).unwrap();
    }
    let mut late = Client::connect(&running.path()).unwrap();
    let refusal = Answer::Error("16 clients are connected already; try again later".into());
    assert_eq!(late.request(&Command::Ports).unwrap(), refusal);
    clients.pop();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Client::connect(&running.path()).unwrap().request(&Command::Ports).unwrap() == refusal {
        assert!(Instant::now() < deadline, "the place is never given back");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn stopping_is_prompt_with_silent_clients_and_removes_the_socket() {
    let mut running = Running::new(repeat);
    let mut silent = UnixStream::connect(running.path()).unwrap();
    let mut halfway = UnixStream::connect(running.path()).unwrap();
    halfway.write_all(b"{\"command\":").unwrap();
    // Both are being served once a third has been.
    Client::connect(&running.path()).unwrap().request(&Command::Ports).unwrap();
    assert!(running.stop() < Duration::from_secs(1));
    assert!(!running.path().exists(), "though the stopper still lives");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert!(matches!(Client::connect(&running.path()), Err(CtlError::NotRunning(_))));
}

#[test]
fn an_answer_under_way_is_sent_before_the_end() {
    let (started, has_started) = bounded(1);
    let (release, released) = bounded::<()>(1);
    let mut running = Running::new(move |command| {
        started.send(()).unwrap();
        released.recv().unwrap();
        repeat(command)
    });
    let path = running.path();
    let client = thread::spawn(move || Client::connect(&path).unwrap().request(&join()));
    has_started.recv().unwrap();
    running.stop.stop();
    release.send(()).unwrap();
    assert_eq!(client.join().unwrap().unwrap(), repeat(join()));
    running.stop();
}

#[test]
fn a_client_that_reads_nothing_loses_its_place() {
    let mut running = Running::new(|_| Answer::Done(DoneAnswer::said("x".repeat(8 << 20))));
    let mut deaf = UnixStream::connect(running.path()).unwrap();
    deaf.write_all(b"{\"command\":\"stats\"}\n").unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(running.stop() < 2 * ANSWER_PATIENCE + Duration::from_secs(1));
}
