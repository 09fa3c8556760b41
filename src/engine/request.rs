//! Commands and threads' calls on their way from any thread to control, and the answers on their way back.

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

use super::command::{Answer, Command};
use crate::socket::call::{Ask, Call, Refusal, Reply};
use crate::stack::port_table::SocketId;

/// What is asked of control, and where the answer goes.
#[derive(Debug)]
pub enum Request {
    /// A command of the control socket's.
    Command(Command, Sender<Answer>),
    /// A call of a thread's, for its socket. Nobody waits if there is no place for the reply.
    Call(Call, Option<Sender<Reply>>),
}

/// Whoever asks control. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Requests(Sender<Request>);

/// The queue to control: its end to ask at, and control's own.
///
/// It has no bound of its own: everyone who asks waits for the answer, so that no more can wait in it than there are
/// threads that ask, and closed sockets, of which there are no more than there were open ones. A bounded queue of crossbeam's
/// would keep what lies in it when control has gone, and with it those who asked, for ever.
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
        let answer = self.wait(|answer| Request::Command(command, answer));
        answer.unwrap_or_else(|| Answer::Error("it is stopping, and does nothing more".to_owned()))
    }

    /// Sends the request that `make` makes, and waits for its answer. `None`: control has ended, or ends before it answers.
    fn wait<T>(&self, make: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = bounded(1);
        self.0.send(make(answer)).ok()?;
        answered.recv().ok()
    }
}

impl Ask for Requests {
    fn ask(&self, call: Call) -> Reply {
        self.wait(|reply| Request::Call(call, Some(reply))).unwrap_or(Reply::Refused(Refusal::Down))
    }

    fn close(&self, socket: SocketId) {
        // Control that has ended has closed it.
        let _ = self.0.send(Request::Call(Call::Close { socket }, None));
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
        let Request::Command(command, answer) = incoming.recv().unwrap() else { panic!("a command") };
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
        assert!(matches!(Ask::ask(&requests, Call::Open { v6: false }), Reply::Refused(Refusal::Down)));
        requests.close(0);
    }

    #[test]
    fn a_call_is_replied_to_unless_nobody_waits() {
        let (requests, incoming) = requests();
        let mine = requests.clone();
        let asking = thread::spawn(move || Ask::ask(&mine, Call::Open { v6: true }));
        let Request::Call(Call::Open { v6: true }, Some(reply)) = incoming.recv().unwrap() else {
            panic!("a call")
        };
        reply.send(Reply::PathMtu(1500)).unwrap();
        assert!(matches!(asking.join().unwrap(), Reply::PathMtu(1500)));
        requests.close(7);
        assert!(matches!(incoming.recv(), Ok(Request::Call(Call::Close { socket: 7 }, None))));
    }
}
