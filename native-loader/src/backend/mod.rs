//! The walls: a `PluginBackend` for each generation of the ABI. They differ in what is called, and
//! in nothing else.

mod numbers;
mod request;
mod v01;
mod v02;
mod v1;

pub(crate) use v01::V01;
pub(crate) use v1::V1;
pub(crate) use v02::V02;

use crate::context::Context;
use crate::error::LoadError;
use ringbox_abi::{RawStatus, Status};
use ringbox_ring::{CallError, PluginBackend, Refusal};

/// A backend that has to be started before it is attached.
pub(crate) trait Native: PluginBackend {
    /// Hands the host's tables over, and starts the plugin. Called once, before everything else.
    fn start(&self, context: &'static Context) -> Result<(), LoadError>;
}

/// A plugin took the call, or said why not.
#[inline(always)]
fn taken(status: RawStatus) -> Result<(), Refusal> {
    Refusal::unless_ok(status)
}

/// A plugin took data, or said why not.
fn fed(status: RawStatus) -> Result<(), CallError> {
    match status.meaning() {
        Status::Ok => Ok(()),
        Status::Backpressure => Err(CallError::Backpressure),
        status => Err(CallError::Refused { status }),
    }
}

const UNSUPPORTED: CallError = CallError::Refused { status: Status::Unsupported };

/// A plugin started, or didn't.
fn started(status: RawStatus) -> Result<(), LoadError> {
    match status.meaning() {
        Status::Ok => Ok(()),
        status => Err(LoadError::Init { status }),
    }
}
