/*
 * The nylon-ring plugin ABI, version 1 and its extension. C11 or C++17, 64-bit, little-endian.
 *
 * A plugin exports
 *
 *     NR_EXPORT const NrPluginInfo *nylon_ring_get_plugin_v1(void);
 *
 * and may export
 *
 *     NR_EXPORT const NrPluginExt *nylon_ring_get_plugin_ext_v1(void);
 *
 * Both return a table that lives as long as the library is loaded. docs/abi.md has the contract in
 * words. In short: no function of a plugin blocks; views (NrStr, NrBytes, NrRequest) are borrowed
 * for the call they come with; an answer may come from any thread, in the call or after; C++
 * exceptions must not leave a function of either side.
 */
#ifndef NYLON_RING_H
#define NYLON_RING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define NR_STATIC_ASSERT(condition) static_assert(condition, #condition)
#else
#define NR_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#if defined(_WIN32)
#define NR_EXPORT __declspec(dllexport)
#else
#define NR_EXPORT __attribute__((visibility("default")))
#endif

/* ---- status: any number may travel; these have a meaning ---- */

typedef uint32_t NrStatus;

#define NR_STATUS_OK UINT32_C(0)           /* an answer, or a frame of a stream */
#define NR_STATUS_ERR UINT32_C(1)          /* the plugin failed */
#define NR_STATUS_INVALID UINT32_C(2)      /* the request breaks the contract */
#define NR_STATUS_UNSUPPORTED UINT32_C(3)  /* nobody here does that */
#define NR_STATUS_STREAM_END UINT32_C(4)   /* a stream's ordinary end */
#define NR_STATUS_PANIC UINT32_C(5)        /* a panic was contained */
#define NR_STATUS_BACKPRESSURE UINT32_C(6) /* a queue is full, try again later */

/* ---- version 1 ---- */

#define NR_ABI_VERSION UINT32_C(1)

/* UTF-8, not terminated. A length of 0 is empty whatever the pointer. */
typedef struct NrStr {
  const uint8_t *ptr;
  uint32_t len;
} NrStr;

typedef struct NrBytes {
  const uint8_t *ptr;
  uint64_t len;
} NrBytes;

typedef struct NrHeader {
  NrStr key;
  NrStr value;
} NrHeader;

typedef NrHeader NrKV;

/* A call of an entry has the entry's name as its path and "CALL" as its method. */
typedef struct NrRequest {
  NrStr path;
  NrStr method;
  NrStr query;
  const NrHeader *headers;
  uint32_t headers_len;
  uint32_t _reserved0;
  uint64_t _reserved1;
} NrRequest;

typedef struct NrHostVTable {
  void (*send_result)(void *host_ctx, uint64_t sid, NrStatus status, NrBytes payload);
} NrHostVTable;

/* Any of them may be null. A plugin that was given only version 1 returns NR_STATUS_OK to
 * NR_STATUS_UNSUPPORTED and nothing else. */
typedef struct NrPluginVTable {
  NrStatus (*init)(void *plugin_ctx, void *host_ctx, const NrHostVTable *host_vtable);
  NrStatus (*handle)(void *plugin_ctx, uint64_t sid, const NrRequest *req, NrBytes payload);
  void (*shutdown)(void *plugin_ctx);
} NrPluginVTable;

typedef struct NrPluginInfo {
  uint32_t abi_version; /* NR_ABI_VERSION */
  uint32_t struct_size; /* sizeof(NrPluginInfo) */
  NrStr name;
  NrStr version;
  void *plugin_ctx; /* handed back to every function of the plugin */
  const NrPluginVTable *vtable;
} NrPluginInfo;

/* ---- the extension ---- */

#define NR_EXT_VERSION UINT32_C(1)
#define NR_NO_ENTRY UINT32_MAX

#define NR_LOG_ERROR UINT32_C(1)
#define NR_LOG_WARN UINT32_C(2)
#define NR_LOG_INFO UINT32_C(3)
#define NR_LOG_DEBUG UINT32_C(4)
#define NR_LOG_TRACE UINT32_C(5)

/* owned == 1: given away, the receiver calls release once, from any thread. Anything else: lent for
 * the call, the receiver copies. */
typedef struct NrVec {
  uint8_t *ptr;
  uint64_t len;
  uint64_t cap;
  uint8_t owned;
  uint8_t _reserved[7];
  void (*release)(uint8_t *ptr, uint64_t len, uint64_t cap);
} NrVec;

/* The receiver calls release once, from any thread, unless it is null. */
typedef struct NrOwnedBytes {
  const uint8_t *ptr;
  uint64_t len;
  void *owner_ctx;
  void (*release)(void *owner_ctx, const uint8_t *ptr, uint64_t len);
} NrOwnedBytes;

/* Valid until committed or released, or the plugin is shut down. */
typedef struct NrBufferLease {
  uint8_t *ptr;
  uint64_t cap;
  uint64_t token;
} NrBufferLease;

/* Both tables grow at the end only. Look at no field beyond the other side's struct_size; any
 * function may be null. */
typedef struct NrHostExt {
  uint32_t struct_size; /* of the host's table */
  uint32_t version;     /* NR_EXT_VERSION */
  NrStatus (*send_frame)(void *host_ctx, uint64_t sid, NrStatus status, NrBytes payload);
  NrStatus (*send_owned)(void *host_ctx, uint64_t sid, NrStatus status, NrVec payload);
  NrStatus (*acquire_buffer)(void *host_ctx, uint64_t sid, uint64_t capacity, NrBufferLease *out);
  NrStatus (*commit_buffer)(void *host_ctx, NrBufferLease lease, NrStatus status, uint64_t len);
  NrStatus (*host_call)(void *host_ctx, uint64_t sid, NrStr name, NrBytes payload,
                        uint64_t *token_out);
  NrStatus (*wake_after)(void *host_ctx, uint64_t token, uint64_t nanos);
  void (*log)(void *host_ctx, uint32_t level, NrStr message);
  NrStatus (*state_set)(void *host_ctx, uint64_t sid, NrStr key, NrBytes value);
  NrStatus (*state_get)(void *host_ctx, uint64_t sid, NrStr key, NrVec *out);
  NrStatus (*release_buffer)(void *host_ctx, NrBufferLease lease);
} NrHostExt;

typedef struct NrPluginExt {
  uint32_t struct_size; /* of the plugin's table */
  uint32_t version;     /* NR_EXT_VERSION */
  NrStatus (*attach)(void *plugin_ctx, void *host_ctx, const NrHostExt *host_ext);
  uint32_t (*resolve_entry)(void *plugin_ctx, NrStr name); /* or NR_NO_ENTRY */
  NrStatus (*handle_entry)(void *plugin_ctx, uint32_t entry, uint64_t sid, NrBytes payload);
  NrStatus (*stream_data)(void *plugin_ctx, uint64_t sid, NrBytes data);
  NrStatus (*stream_close)(void *plugin_ctx, uint64_t sid);
  void (*cancel)(void *plugin_ctx, uint64_t sid);
  void (*wake)(void *plugin_ctx, uint64_t token);
  void (*host_call_done)(void *plugin_ctx, uint64_t token, NrStatus status, NrBytes payload);
  uint32_t (*quiescent)(void *plugin_ctx);
} NrPluginExt;

/* ---- the layout ---- */

NR_STATIC_ASSERT(sizeof(void *) == 8);
NR_STATIC_ASSERT(sizeof(NrStatus) == 4);

NR_STATIC_ASSERT(sizeof(NrStr) == 16);
NR_STATIC_ASSERT(offsetof(NrStr, ptr) == 0);
NR_STATIC_ASSERT(offsetof(NrStr, len) == 8);

NR_STATIC_ASSERT(sizeof(NrBytes) == 16);
NR_STATIC_ASSERT(offsetof(NrBytes, ptr) == 0);
NR_STATIC_ASSERT(offsetof(NrBytes, len) == 8);

NR_STATIC_ASSERT(sizeof(NrHeader) == 32);
NR_STATIC_ASSERT(offsetof(NrHeader, key) == 0);
NR_STATIC_ASSERT(offsetof(NrHeader, value) == 16);

NR_STATIC_ASSERT(sizeof(NrRequest) == 72);
NR_STATIC_ASSERT(offsetof(NrRequest, path) == 0);
NR_STATIC_ASSERT(offsetof(NrRequest, method) == 16);
NR_STATIC_ASSERT(offsetof(NrRequest, query) == 32);
NR_STATIC_ASSERT(offsetof(NrRequest, headers) == 48);
NR_STATIC_ASSERT(offsetof(NrRequest, headers_len) == 56);
NR_STATIC_ASSERT(offsetof(NrRequest, _reserved0) == 60);
NR_STATIC_ASSERT(offsetof(NrRequest, _reserved1) == 64);

NR_STATIC_ASSERT(sizeof(NrHostVTable) == 8);
NR_STATIC_ASSERT(offsetof(NrHostVTable, send_result) == 0);

NR_STATIC_ASSERT(sizeof(NrPluginVTable) == 24);
NR_STATIC_ASSERT(offsetof(NrPluginVTable, init) == 0);
NR_STATIC_ASSERT(offsetof(NrPluginVTable, handle) == 8);
NR_STATIC_ASSERT(offsetof(NrPluginVTable, shutdown) == 16);

NR_STATIC_ASSERT(sizeof(NrPluginInfo) == 56);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, abi_version) == 0);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, struct_size) == 4);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, name) == 8);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, version) == 24);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, plugin_ctx) == 40);
NR_STATIC_ASSERT(offsetof(NrPluginInfo, vtable) == 48);

NR_STATIC_ASSERT(sizeof(NrVec) == 40);
NR_STATIC_ASSERT(offsetof(NrVec, ptr) == 0);
NR_STATIC_ASSERT(offsetof(NrVec, len) == 8);
NR_STATIC_ASSERT(offsetof(NrVec, cap) == 16);
NR_STATIC_ASSERT(offsetof(NrVec, owned) == 24);
NR_STATIC_ASSERT(offsetof(NrVec, _reserved) == 25);
NR_STATIC_ASSERT(offsetof(NrVec, release) == 32);

NR_STATIC_ASSERT(sizeof(NrOwnedBytes) == 32);
NR_STATIC_ASSERT(offsetof(NrOwnedBytes, ptr) == 0);
NR_STATIC_ASSERT(offsetof(NrOwnedBytes, len) == 8);
NR_STATIC_ASSERT(offsetof(NrOwnedBytes, owner_ctx) == 16);
NR_STATIC_ASSERT(offsetof(NrOwnedBytes, release) == 24);

NR_STATIC_ASSERT(sizeof(NrBufferLease) == 24);
NR_STATIC_ASSERT(offsetof(NrBufferLease, ptr) == 0);
NR_STATIC_ASSERT(offsetof(NrBufferLease, cap) == 8);
NR_STATIC_ASSERT(offsetof(NrBufferLease, token) == 16);

NR_STATIC_ASSERT(sizeof(NrHostExt) == 88);
NR_STATIC_ASSERT(offsetof(NrHostExt, struct_size) == 0);
NR_STATIC_ASSERT(offsetof(NrHostExt, version) == 4);
NR_STATIC_ASSERT(offsetof(NrHostExt, send_frame) == 8);
NR_STATIC_ASSERT(offsetof(NrHostExt, send_owned) == 16);
NR_STATIC_ASSERT(offsetof(NrHostExt, acquire_buffer) == 24);
NR_STATIC_ASSERT(offsetof(NrHostExt, commit_buffer) == 32);
NR_STATIC_ASSERT(offsetof(NrHostExt, host_call) == 40);
NR_STATIC_ASSERT(offsetof(NrHostExt, wake_after) == 48);
NR_STATIC_ASSERT(offsetof(NrHostExt, log) == 56);
NR_STATIC_ASSERT(offsetof(NrHostExt, state_set) == 64);
NR_STATIC_ASSERT(offsetof(NrHostExt, state_get) == 72);
NR_STATIC_ASSERT(offsetof(NrHostExt, release_buffer) == 80);

NR_STATIC_ASSERT(sizeof(NrPluginExt) == 80);
NR_STATIC_ASSERT(offsetof(NrPluginExt, struct_size) == 0);
NR_STATIC_ASSERT(offsetof(NrPluginExt, version) == 4);
NR_STATIC_ASSERT(offsetof(NrPluginExt, attach) == 8);
NR_STATIC_ASSERT(offsetof(NrPluginExt, resolve_entry) == 16);
NR_STATIC_ASSERT(offsetof(NrPluginExt, handle_entry) == 24);
NR_STATIC_ASSERT(offsetof(NrPluginExt, stream_data) == 32);
NR_STATIC_ASSERT(offsetof(NrPluginExt, stream_close) == 40);
NR_STATIC_ASSERT(offsetof(NrPluginExt, cancel) == 48);
NR_STATIC_ASSERT(offsetof(NrPluginExt, wake) == 56);
NR_STATIC_ASSERT(offsetof(NrPluginExt, host_call_done) == 64);
NR_STATIC_ASSERT(offsetof(NrPluginExt, quiescent) == 72);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* NYLON_RING_H */
