//! The layout, proved while compiling. A build that gets past this file agrees with the C header.

use std::mem::offset_of;

use crate::{
    ext::{NrHostExt, NrPluginExt},
    owned::{NrBufferLease, NrOwnedBytes, NrVec},
    published, raw,
    status::RawStatus,
    v1,
};

const _: () = {
    assert!(cfg!(target_endian = "little"), "the nylon-ring ABI is little-endian");
    assert!(size_of::<usize>() == 8, "the nylon-ring ABI is 64-bit");
};

/// `layout!(Type: size { field: offset, .. })`
macro_rules! layout {
    ($type:ty: $size:literal align $align:literal { $($field:ident: $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            assert!(align_of::<$type>() == $align);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

layout!(RawStatus: 4 align 4 {});
layout!(v1::NrStatus: 4 align 4 {});
layout!(v1::NrStr: 16 align 8 { ptr: 0, len: 8 });
layout!(v1::NrBytes: 16 align 8 { ptr: 0, len: 8 });
layout!(v1::NrHeader: 32 align 8 { key: 0, value: 16 });
layout!(v1::NrRequest: 72 align 8 {
    path: 0, method: 16, query: 32, headers: 48, headers_len: 56, _reserved0: 60, _reserved1: 64,
});
layout!(v1::NrHostVTable: 8 align 8 { send_result: 0 });
layout!(v1::NrPluginVTable: 24 align 8 { init: 0, handle: 8, shutdown: 16 });
layout!(v1::NrPluginInfo: 56 align 8 {
    abi_version: 0, struct_size: 4, name: 8, version: 24, plugin_ctx: 40, vtable: 48,
});

layout!(raw::HostVTable: 8 align 8 { send_result: 0 });
layout!(raw::PluginVTable: 24 align 8 { init: 0, handle: 8, shutdown: 16 });
layout!(raw::PluginInfo: 56 align 8 {
    abi_version: 0, struct_size: 4, name: 8, version: 24, plugin_ctx: 40, vtable: 48,
});

layout!(NrVec: 40 align 8 { ptr: 0, len: 8, cap: 16, owned: 24, _reserved: 25, release: 32 });
layout!(NrOwnedBytes: 32 align 8 { ptr: 0, len: 8, owner_ctx: 16, release: 24 });
layout!(NrBufferLease: 24 align 8 { ptr: 0, cap: 8, token: 16 });
layout!(NrHostExt: 88 align 8 {
    struct_size: 0, version: 4, send_frame: 8, send_owned: 16, acquire_buffer: 24,
    commit_buffer: 32, host_call: 40, wake_after: 48, log: 56, state_set: 64, state_get: 72,
    release_buffer: 80,
});
layout!(NrPluginExt: 80 align 8 {
    struct_size: 0, version: 4, attach: 8, resolve_entry: 16, handle_entry: 24, stream_data: 32,
    stream_close: 40, cancel: 48, wake: 56, host_call_done: 64, quiescent: 72,
});

layout!(published::Str: 16 align 8 { ptr: 0, len: 8, _reserved: 12 });
layout!(published::v02::HostVTable: 32 align 8 {
    send_result: 0, send_result_owned: 8, acquire_result_buffer: 16, commit_result_buffer: 24,
});
layout!(published::v02::PluginVTable: 56 align 8 {
    init: 0, handle: 8, shutdown: 16, stream_data: 24, stream_close: 32, resolve_entry: 40,
    handle_by_id: 48,
});
layout!(published::v02::PluginInfo: 56 align 8 {
    abi_version: 0, struct_size: 4, name: 8, version: 24, plugin_ctx: 40, vtable: 48,
});
layout!(published::v01::HostVTable: 8 align 8 { send_result: 0 });
layout!(published::v01::PluginVTable: 40 align 8 {
    init: 0, handle: 8, shutdown: 16, stream_data: 24, stream_close: 32,
});
layout!(published::v01::PluginInfo: 56 align 8 {
    abi_version: 0, struct_size: 4, name: 8, version: 24, plugin_ctx: 40, vtable: 48,
});
