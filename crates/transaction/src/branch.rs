//! One branch of a transaction: the client machine, the request as it was sent, its CANCEL and its ACK, and what came back.

use std::any::Any;
use std::sync::Arc;

use message::Message;

use crate::invite_client::{self, InviteClient};
use crate::machine::{Ask, Setting};
use crate::noninvite_client::{self, NonInviteClient};
use crate::{Hop, NewBranch, Timestamp};

#[derive(Debug)]
pub(crate) enum Client {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// How far the CANCEL of a branch is.
#[derive(Debug)]
pub(crate) enum Cancel {
    None,
    /// "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST wait for the
    /// arrival of a provisional response before sending the request" (§9.1).
    Wanted(Arc<[u8]>),
    Sent {
        bytes: Arc<[u8]>,
        client: NonInviteClient,
    },
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub number: u16,
    pub client: Client,
    pub hop: Hop,
    pub bytes: Arc<[u8]>,
    pub uri: Arc<[u8]>,
    pub script: Option<Arc<dyn Any + Send + Sync>>,
    pub cancel: Cancel,
    /// The ACK to its non-2xx final reply.
    pub ack: Option<Arc<[u8]>>,
    /// Final result: the reply's code, or 408 and 503 made up here.
    pub result: Option<u16>,
    /// Code of the last reply.
    pub last_code: u16,
    /// The last failure, for the choice of the best.
    pub reply: Option<Arc<Message>>,
    /// To tag of the 2xx to an INVITE, by which its ACK is known.
    pub success: Option<Box<[u8]>>,
    /// The final reply as it would be forwarded.
    pub forward: Option<Arc<[u8]>>,
    /// Who sent the last reply.
    pub from: Option<Hop>,
    pub replied: bool,
    pub timed_out: bool,
}

impl Branch {
    pub fn new(new: NewBranch, invite: bool, setting: &Setting<'_>) -> Branch {
        let setting = Setting { reliable: new.hop.transport.is_reliable(), ..*setting };
        let client = match invite {
            true => Client::Invite(InviteClient::new(&setting)),
            false => Client::NonInvite(NonInviteClient::new(&setting)),
        };
        Branch {
            number: new.number,
            client,
            hop: new.hop,
            bytes: new.bytes,
            uri: new.uri,
            script: new.script,
            cancel: Cancel::None,
            ack: None,
            result: None,
            last_code: 0,
            reply: None,
            success: None,
            forward: None,
            from: None,
            replied: false,
            timed_out: false,
        }
    }

    pub fn is_pending(&self) -> bool {
        self.result.is_none()
    }

    fn setting<'a>(&self, setting: &Setting<'a>) -> Setting<'a> {
        Setting { reliable: self.hop.transport.is_reliable(), ..*setting }
    }

    /// A reply with this code to the request itself.
    pub fn on_reply(&mut self, code: u16, setting: &Setting<'_>) -> Ask {
        let setting = self.setting(setting);
        match &mut self.client {
            Client::Invite(client) => client.step(
                match code {
                    ..200 => invite_client::Input::Provisional(code),
                    200..=299 => invite_client::Input::Success,
                    _ => invite_client::Input::Failure,
                },
                &setting,
            ),
            Client::NonInvite(client) => client.step(
                match code {
                    ..200 => noninvite_client::Input::Provisional,
                    _ => noninvite_client::Input::Final,
                },
                &setting,
            ),
        }
    }

    /// A reply to our CANCEL.
    pub fn on_cancel_reply(&mut self, code: u16, setting: &Setting<'_>) {
        let setting = self.setting(setting);
        if let Cancel::Sent { client, .. } = &mut self.cancel {
            let input = match code {
                ..200 => noninvite_client::Input::Provisional,
                _ => noninvite_client::Input::Final,
            };
            client.step(input, &setting);
        }
    }

    /// It could not be sent.
    pub fn on_transport_error(&mut self, setting: &Setting<'_>) {
        let setting = self.setting(setting);
        match &mut self.client {
            Client::Invite(client) => client.step(invite_client::Input::TransportError, &setting),
            Client::NonInvite(client) => client.step(noninvite_client::Input::TransportError, &setting),
        };
    }

    pub fn on_timer(&mut self, setting: &Setting<'_>) -> Ask {
        let setting = self.setting(setting);
        match &mut self.client {
            Client::Invite(client) => client.step(invite_client::Input::Timer, &setting),
            Client::NonInvite(client) => client.step(noninvite_client::Input::Timer, &setting),
        }
    }

    /// The CANCEL's own timers; true: send it again.
    pub fn on_cancel_timer(&mut self, setting: &Setting<'_>) -> bool {
        let setting = self.setting(setting);
        match &mut self.cancel {
            Cancel::Sent { client, .. } => client.step(noninvite_client::Input::Timer, &setting).transmit,
            _ => false,
        }
    }

    /// Wants the branch cancelled; returns a CANCEL that can be sent now.
    pub fn cancel(&mut self, rows: &Arc<[u8]>, setting: &Setting<'_>) -> Option<Arc<[u8]>> {
        let Client::Invite(client) = &self.client else {
            // "CANCEL ... a client SHOULD NOT send a CANCEL request to cancel a request other than INVITE" (§9.1)
            return None;
        };
        match (client.state, &self.cancel) {
            (invite_client::State::Calling, Cancel::None) => {
                self.cancel = Cancel::Wanted(Arc::clone(rows));
                None
            }
            (invite_client::State::Proceeding, Cancel::None | Cancel::Wanted(_)) => {
                self.send_cancel(rows, setting)
            }
            _ => None,
        }
    }

    /// The CANCEL that was waiting for a provisional reply.
    pub fn wanted_cancel(&mut self, setting: &Setting<'_>) -> Option<Arc<[u8]>> {
        match &self.cancel {
            Cancel::Wanted(rows) => {
                let rows = Arc::clone(rows);
                self.cancel(&rows, setting)
            }
            _ => None,
        }
    }

    fn send_cancel(&mut self, rows: &[u8], setting: &Setting<'_>) -> Option<Arc<[u8]>> {
        let mut buffer = Vec::with_capacity(self.bytes.len().min(2048));
        message::print::cancel(&self.bytes, rows, &mut buffer).ok()?;
        let bytes: Arc<[u8]> = buffer.into();
        // The CANCEL may outlive the transaction's limit: it is what ends the branch.
        let setting = Setting { limit: Timestamp::NEVER, ..self.setting(setting) };
        if let Client::Invite(client) = &mut self.client {
            client.step(invite_client::Input::Cancelled, &setting);
        }
        self.cancel = Cancel::Sent { bytes: Arc::clone(&bytes), client: NonInviteClient::new(&setting) };
        Some(bytes)
    }

    /// The ACK to a non-2xx final reply; printed once and kept for its retransmissions.
    pub fn ack(&mut self, reply: &Message) -> Option<Arc<[u8]>> {
        if self.ack.is_none() {
            let mut buffer = Vec::with_capacity(self.bytes.len().min(2048));
            message::print::ack(&self.bytes, reply, &mut buffer).ok()?;
            self.ack = Some(buffer.into());
        }
        self.ack.clone()
    }

    pub fn next(&self) -> Timestamp {
        let client = match &self.client {
            Client::Invite(client) => client.next(),
            Client::NonInvite(client) => client.next(),
        };
        match &self.cancel {
            Cancel::Sent { client: cancel, .. } => client.min(cancel.next()),
            _ => client,
        }
    }

    /// Nothing can happen here any more but a stray.
    pub fn is_terminated(&self) -> bool {
        let client = match &self.client {
            Client::Invite(client) => client.state == invite_client::State::Terminated,
            Client::NonInvite(client) => client.state == noninvite_client::State::Terminated,
        };
        client
            && match &self.cancel {
                Cancel::Sent { client, .. } => client.state == noninvite_client::State::Terminated,
                _ => true,
            }
    }

    pub fn state(&self) -> &'static str {
        match &self.client {
            Client::Invite(client) => client.name(),
            Client::NonInvite(client) => client.name(),
        }
    }
}
