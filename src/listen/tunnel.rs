//! What follows CONNECT: a tunnel to a host of a service is opened (`opened`), another one carries bytes unseen. Answers the
//! CONNECT, and runs the tunnel in the connection's own task once hyper has let go of it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Proof;
use crate::domain::{Host, Scheme};
use crate::pipeline::{Inbound, Passage, ReplyBody, Trail, refuse};
use crate::upstream::Stream;

use super::connection::{Shared, Visit};
use super::doors::Door;
use super::guarded::{self, Guarded, Phase, State};
use super::rewound::Rewound;
use super::{opened, own, upgrade};

/// A tunnel that the client was told is there, and that nothing was carried through yet.
pub(super) struct Passing {
    client: OnUpgrade,
    way: Way,
    /// Ends with the tunnel, or when it is open.
    trail: Trail,
}

enum Way {
    /// To be opened.
    Opened(Inside),
    /// The far end.
    Blind(Box<Stream>),
}

/// Where the requests within an opened tunnel go, and who sends them: the CONNECT said so.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    /// [`Door::Own`] where sidekey itself is the host.
    pub(super) door: Door,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) scheme: Scheme,
    pub(super) proof: Proof,
}

/// Answers CONNECT. A blind tunnel is dialled first, so that the client learns the truth.
pub(super) async fn answer(visit: &Arc<Visit>, mut inbound: Box<Inbound>, mut trail: Trail) -> Response<ReplyBody> {
    let Shared { line, mint } = &*visit.shared;
    let admits = |host: &Host| mint.admits(host, own::unix_seconds());
    let proof = inbound.proof;
    let opened = |door, host, port| Way::Opened(Inside { door, host, port, scheme: Scheme::Https, proof });
    let way = match line.screen(&inbound, &mut trail, admits) {
        Ok(Passage::Opened(host, port)) => Ok(opened(Door::Intercept, host, port)),
        Ok(Passage::Own(host)) => Ok(opened(Door::Own, host, 443)),
        Ok(Passage::Blind(reach)) => line.dial_tunnel(&reach).await.map(|stream| Way::Blind(Box::new(stream))),
        Err(fault) => Err(fault),
    };
    let way = match way {
        Ok(way) => way,
        Err(fault) => return refuse(&fault, trail),
    };
    trail.opened(StatusCode::OK);
    if let Some(client) = inbound.parts.extensions.remove::<OnUpgrade>() {
        let passing = Passing { client, way, trail };
        if inbound.parts.version == Version::HTTP_2 {
            // It is one stream of several on its connection, so it needs a task of its own.
            start(passing, visit);
        } else {
            visit.leave(passing);
        }
    }
    Response::new(ReplyBody::opened())
}

fn start(passing: Passing, visit: &Visit) {
    let state = State::new();
    let busy = visit.state.busy();
    let visit = visit.again(Arc::clone(&state));
    let task = tokio::spawn(async move {
        let _around = busy;
        if let Ok(client) = passing.client.await {
            run(passing.way, passing.trail, TokioIo::new(client), Bytes::new(), visit).await;
        }
    });
    guarded::watch(state, task.abort_handle());
}

/// Goes on with the tunnel in the task of the connection that was a `Guarded<S>` before.
pub(super) async fn go_on<S>(passing: Box<Passing>, visit: &Visit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Passing { client, way, trail } = *passing;
    let Ok(client) = client.await else { return };
    let visit = visit.again(Arc::clone(&visit.state));
    // The very stream, so that no call has to find its way to it.
    match client.downcast::<TokioIo<Guarded<S>>>() {
        Ok(Parts { io, read_buf, .. }) => run(way, trail, io.into_inner().into_stream(), read_buf, visit).await,
        Err(client) => run(way, trail, TokioIo::new(client), Bytes::new(), visit).await,
    }
}

/// Runs the tunnel on `client`, of which `before` was read already.
async fn run<S>(way: Way, trail: Trail, client: S, before: Bytes, visit: Visit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match way {
        Way::Opened(inside) => opened::run(client, before, inside, trail, visit).await,
        Way::Blind(upstream) => {
            visit.state.enter(Phase::Tunnel);
            let ends = (Rewound::new(client, before), Rewound::new(*upstream, Bytes::new()));
            upgrade::pass(ends, upgrade::IDLE, trail).await;
        }
    }
}
