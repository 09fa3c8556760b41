//! Commands on their way from any thread to control, and the answers on their way back.

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use super::command::{Answer, Command};

/// A command, and where its answer goes.
#[derive(Debug)]
pub struct Request {
    /// The command.
    pub command: Command,
    /// Where to answer.
    pub answer: Sender<Answer>,
}

/// Whoever asks control. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Requests(Sender<Request>);

/// The queue to control: its end to ask at, and control's own.
///
/// It has no bound of its own: everyone who asks waits for the answer, so that no more can wait in it than there are
/// threads that ask. A bounded queue of crossbeam's would keep what lies in it when control has gone, and with it those
/// who asked, for ever.
#[must_use]
pub fn requests() -> (Requests, Receiver<Request>) {
    #[expect(clippy::disallowed_methods, reason = "bounded by the threads that ask, as said above")]
    let (sender, receiver) = unbounded();
    (Requests(sender), receiver)
}

impl Requests {
    /// Asks control, and waits for the answer: [`Answer::Error`] if control has ended, or ends before it answers.
    #[must_use]
    pub fn ask(&self, command: Command) -> Answer {
        let (answer, answered) = bounded(1);
        let sent = self.0.send(Request { command, answer }).is_ok();
        let answer = sent.then(|| answered.recv().ok()).flatten();
        answer.unwrap_or_else(|| Answer::Error("it is stopping, and does nothing more".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::thread;

    use super::*;

    fn stopping() -> Answer {
        Answer::Error("it is stopping, and does nothing more".to_owned())
    }

    #[test]
    fn an_answer_comes_back_to_whoever_asked() {
        let (requests, incoming) = requests();
        let asking = thread::spawn(move || requests.ask(Command::Groups));
        let Request { command, answer } = incoming.recv().unwrap();
        assert_eq!(command, Command::Groups);
        answer.send(Answer::Groups(Vec::new())).unwrap();
        assert_eq!(asking.join().unwrap(), Answer::Groups(Vec::new()));
    }

    #[test]
    fn a_question_that_control_did_not_come_to_is_answered_when_it_ends() {
        let (requests, incoming) = requests();
        let (said, heard) = bounded(1);
        let mine = requests.clone();
        thread::spawn(move || said.send(mine.ask(Command::Stats)));
        while incoming.is_empty() {
            thread::yield_now();
        }
        drop(incoming);
        assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok(stopping()));
        assert_eq!(requests.ask(Command::Stats), stopping());
    }
}
