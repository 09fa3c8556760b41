//! Sockets for threads: what lies between a program's own threads and the workers.
//!
//! A thread never touches a packet buffer of the device. What arrives for its socket is copied into a boxed [`Packet`] of a
//! pool that was made at the start ([`Packets`]), and what it sends is copied out of one; so a socket may outlive its host,
//! and a slow thread holds no mbuf. One [`Endpoint`] a socket is shared by the thread, the workers and control:
//!
//! ```text
//!  worker --- push ---> receive queue (bytes bounded by SO_RCVBUF) --- pop ---> thread
//!  worker --- push ---> pending error, error queue               --- pop ---> thread
//!  worker <-- pop ----- send queue of the worker (bounded)      <-- push --- thread, bytes bounded by SO_SNDBUF
//!  worker --- futex or eventfd, only if someone waits by it ----------------> thread
//! ```
//!
//! Here: threads may wait, the worker's side never does: it makes no system call unless somebody waits, takes no lock and
//! asks the heap for nothing. Not here: who is bound where, which is `stack`'s to know and control's to change; and what
//! is on the wire.
//!
//! On a port that is a `net_tap`, DPDK tells of packets by signals. These sockets go on waiting; a call of the kernel's in your
//! threads that has a timeout may end with `EINTR` (signal(7)), as after any signal.
//!
//! ```
//! use pollcast::socket::{Packets, PacketsOptions};
//!
//! let packets = Packets::new(&PacketsOptions { small: 2, medium: 1, large: 0 });
//! let packet = packets.copy(b"hello").expect("there is one");
//! assert_eq!(packet.payload(), b"hello");
//! packets.give(packet);
//! ```

pub mod call;
mod endpoint;
mod errors;
mod failure;
mod message;
mod options;
mod packet;
mod packets;
mod readiness;
mod receive;
mod send_queue;
mod sleepers;
mod udp;
mod view;

pub use endpoint::{Endpoint, EndpointOptions, Full};
pub use errors::{ErrorOrigin, QueuedError, convert};
pub use failure::{OptionError, RecvError, SendError};
pub use message::{PacketInfo, Received, RecvFlags, SendControl, SendFlags};
pub use packet::{Arrived, Packet, SizeClass};
pub use packets::{Packets, PacketsOptions};
pub use readiness::Readiness;
pub use receive::{ReceiveQueue, charge};
pub use send_queue::{Outgoing, SendQueue, SendQueues, Unqueued};
pub use udp::{Level, RecvMessage, SendMessage, Sockets, UdpSocket};
pub use view::SharedView;

pub use crate::io::{InterfaceId, PmtuDiscovery};
pub use crate::stack::sockets::{BindError, ConnectError, Errno, FilterMode, MemberError, OpenError};
