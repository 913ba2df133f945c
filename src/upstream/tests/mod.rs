//! The dialling floor against real sockets on loopback: one file a subject, and the servers they share.

mod dial;
mod guard;
mod parent;
mod pieces;
mod replay;
mod world;
