//! Names of hosts, looked up under the rules: our `wasi:sockets/ip-name-lookup`.

use crate::grants::{Network, NoAddress, Question};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::vec;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, IpAddress, Network as Handle,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, poll_noop, spawn_blocking};

/// One instance's rules and handles.
pub(super) struct Lookup<'a> {
    pub(super) network: &'a Arc<Network>,
    pub(super) table: &'a mut ResourceTable,
}

pub(super) struct HasLookup;

impl HasData for HasLookup {
    type Data<'a> = Lookup<'a>;
}

/// What lies in the table under the plugin's handle. (The bindings name wasmtime-wasi's own type
/// for it, which nothing outside can make: the number is all that they use.)
enum Answer {
    Pending(AbortOnDropJoinHandle<Result<Vec<IpAddr>, NoAddress>>),
    Ready(vec::IntoIter<IpAddr>),
    Failed(ErrorCode),
}

impl Answer {
    fn new(found: Result<Vec<IpAddr>, NoAddress>) -> Self {
        match found {
            Ok(addresses) => Self::Ready(addresses.into_iter()),
            Err(NoAddress::NotAllowed) => Self::Failed(ErrorCode::AccessDenied),
            Err(NoAddress::NoName) => Self::Failed(ErrorCode::InvalidArgument),
            Err(NoAddress::None) => Self::Failed(ErrorCode::NameUnresolvable),
            Err(NoAddress::TooMany) => Self::Failed(ErrorCode::TemporaryResolverFailure),
        }
    }

    /// Looks whether the answer has come.
    fn look(&mut self) {
        if let Self::Pending(task) = self
            && let Some(found) = poll_noop(Pin::new(task))
        {
            *self = Self::new(found);
        }
    }
}

#[async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {
        if let Self::Pending(task) = self {
            *self = Self::new(task.await);
        }
    }
}

fn own(stream: &Resource<ResolveAddressStream>) -> Resource<Answer> {
    Resource::new_borrow(stream.rep())
}

impl Host for Lookup<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Handle>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        // It is the right to look something up, so it has to be there.
        self.table.get(&network)?;
        // The threads for what blocks are the whole process': only what has to be asked gets one.
        let answer = match self.network.question(&name) {
            Ok(Question::Answered(ip)) => Answer::new(Ok(vec![ip])),
            Ok(Question::Ask(lookup)) => {
                let network = self.network.clone();
                Answer::Pending(spawn_blocking(move || network.look_up(&lookup)))
            }
            Err(why) => Answer::new(Err(why)),
        };
        let answer = self.table.push(answer)?;
        Ok(Resource::new_own(answer.rep()))
    }
}

// The interface takes its errors from `network`, which wants the whole of it.
impl network::Host for Lookup<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<wasmtime::Error>) -> Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for Lookup<'_> {
    fn drop(&mut self, handle: Resource<Handle>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let answer = self.table.get_mut(&own(&stream))?;
        answer.look();
        match answer {
            Answer::Pending(_) => Err(ErrorCode::WouldBlock.into()),
            Answer::Ready(addresses) => Ok(addresses.next().map(Into::into)),
            Answer::Failed(code) => Err((*code).into()),
        }
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, own(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.table.delete(Resource::<Answer>::new_own(stream.rep()))?;
        Ok(())
    }
}
