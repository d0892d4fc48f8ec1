//! The same scenarios over loopback sockets against Trunkline and the packaged Kamailio, with one configuration and one script.
//!
//! `SIP_TEST_SUBJECT=trunkline|kamailio` chooses the subject of a single run; [`differences`] says where the two are known to differ
//! and why. Every scenario also checks, by [`subject::Subject::ran`], that the script's callbacks ran exactly as often as its messages demand.

pub mod differences;
pub mod digest;
pub mod normalise;
pub mod peer;
pub mod relay;
pub mod scenarios;
pub mod sipp;
pub mod stock;
pub mod subject;
