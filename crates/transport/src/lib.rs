//! Sockets: how datagrams come in and go out. The only protocol crate that names the operating system.
//!
//! [`ask`] waits for answers of RTP relays. [`udp`] is blocking and synchronous: worker threads read one socket together with `recvmmsg` and send what they printed with
//! `sendmmsg`. `unsafe` lives in `udp/syscall.rs` and nowhere else.
#![deny(unsafe_code)]

pub mod ask;
pub mod udp;
