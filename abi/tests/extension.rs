//! A table is read as far as its size says, whichever side has grown.

#![expect(unsafe_code, reason = "makes tables that are broken on purpose")]

use std::{ffi::c_void, ptr};

use ringbox_abi::{ExtError, ExtTable, ExtView, LogLevel, NrHostExt, NrPluginExt};

fn read<T: ExtTable>(table: *const T) -> Result<ExtView<T>, ExtError> {
    // SAFETY: the tests point at live memory of at least the size that it says, or at nothing.
    unsafe { ExtView::read(table) }
}

unsafe extern "C" fn cancel(_ctx: *mut c_void, _sid: u64) {}
unsafe extern "C" fn quiescent(_ctx: *mut c_void) -> u32 {
    1
}

fn full() -> NrPluginExt {
    NrPluginExt { cancel: Some(cancel), quiescent: Some(quiescent), ..NrPluginExt::EMPTY }
}

#[test]
fn a_table_of_the_same_age_is_read_whole() {
    let table = read(&full()).unwrap();
    assert!(table.cancel.is_some() && table.quiescent.is_some() && table.wake.is_none());
    assert_eq!((table.struct_size, table.version), (80, 1));
    assert!(read(&NrHostExt::EMPTY).unwrap().send_frame.is_none());
}

#[test]
fn null_misaligned_too_small_and_version_0_are_errors() {
    assert_eq!(read(ptr::null::<NrPluginExt>()).unwrap_err(), ExtError::Null);
    assert_eq!(read(ptr::null::<NrHostExt>()).unwrap_err(), ExtError::Null);
    let table = full();
    let odd = ptr::from_ref(&table).wrapping_byte_add(4);
    assert_eq!(read(odd).unwrap_err(), ExtError::Misaligned);
    for found in [0, 1, 4, 7] {
        let small = NrPluginExt { struct_size: found, ..full() };
        assert_eq!(read(&small).unwrap_err(), ExtError::TooSmall { found });
    }
    let none = NrPluginExt { version: 0, ..full() };
    assert_eq!(read(&none).unwrap_err(), ExtError::Version { found: 0 });
    assert!(read(&NrPluginExt { version: 2, ..full() }).is_ok(), "a newer version only adds");
    assert_eq!(
        ExtError::Version { found: 0 }.to_string(),
        "there is no version 0 of the extension"
    );
}

#[test]
fn a_smaller_table_lacks_what_it_does_not_hold() {
    for size in 8..=80_u32 {
        let table = read(&NrPluginExt { struct_size: size, ..full() }).unwrap();
        assert_eq!(table.cancel.is_some(), size >= 56, "{size}");
        assert_eq!(table.quiescent.is_some(), size >= 80, "{size}");
    }
}

#[test]
fn nothing_beyond_a_smaller_table_is_read() {
    // An allocation of just the two words; a memory checker sees any byte read behind it.
    let words: Box<[u64]> = vec![u64::from(1_u32) << 32 | 8].into_boxed_slice();
    let table = read(words.as_ptr().cast::<NrPluginExt>()).unwrap();
    assert!(table.attach.is_none() && table.quiescent.is_none());
    // Half a function pointer more.
    let words: Box<[u64]> = vec![u64::from(1_u32) << 32 | 12, u64::MAX].into_boxed_slice();
    assert!(read(words.as_ptr().cast::<NrHostExt>()).unwrap().send_frame.is_none());
}

#[test]
fn a_larger_table_is_read_as_far_as_it_is_known() {
    #[repr(C)]
    struct Grown {
        known: NrPluginExt,
        more: [u64; 4],
    }
    for struct_size in [81, 88, 112, u32::MAX] {
        let known = NrPluginExt { struct_size, version: 3, ..full() };
        let grown = Grown { known, more: [u64::MAX; 4] };
        let table = read((&raw const grown).cast::<NrPluginExt>()).unwrap();
        assert!(table.quiescent.is_some());
        assert_eq!((table.struct_size, table.version), (struct_size, 3));
        assert_eq!(grown.more[0], u64::MAX);
    }
}

#[test]
fn log_levels_keep_their_numbers() {
    for (number, level) in [
        (1, LogLevel::Error),
        (2, LogLevel::Warn),
        (3, LogLevel::Info),
        (4, LogLevel::Debug),
        (5, LogLevel::Trace),
    ] {
        assert_eq!(LogLevel::from_raw(number), level);
        assert_eq!(level.raw(), number);
    }
    assert_eq!(LogLevel::from_raw(0), LogLevel::Info);
    assert_eq!(LogLevel::from_raw(u32::MAX), LogLevel::Info);
}
