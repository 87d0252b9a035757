/* A plugin for the sandbox in C, by the WIT and nothing else: the world `nylon:ring/plugin@1.0.0` as the
 * canonical ABI has it, written by hand. It needs neither a C library nor generated code.
 *
 *     clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o plugin.core.wasm examples/plugins/wit-c/plugin.c
 *     cargo xtask component plugin.core.wasm
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* types.status: a case's place in the enum is its number. */
enum Status { OK, ERR, INVALID, UNSUPPORTED, STREAM_END, PANIC, BACKPRESSURE };

/* A `string` or a `list<u8>`: where it is, and how many bytes. */
typedef struct Bytes {
  const uint8_t *ptr;
  size_t len;
} Bytes;

IMPORT("nylon:ring/host@1.0.0", "send-result")
void send_result(uint64_t sid, uint32_t status, const uint8_t *ptr, size_t len);

/* What the host brings lies in our memory, from the end of our own data on, until `handle` is over:
 * calls come one after the other, so the next one begins there again. */
extern uint8_t __heap_base;
static size_t used;

static uint8_t *take(size_t align, size_t size) {
  size_t at = ((size_t)&__heap_base + used + align - 1) & ~(align - 1);
  size_t there = __builtin_wasm_memory_size(0) << 16;
  if (at < used || size > SIZE_MAX - at) {
    __builtin_trap();
  }
  size_t end = at + size;
  if (end > there && __builtin_wasm_memory_grow(0, (end - there + 0xffff) >> 16) == SIZE_MAX) {
    __builtin_trap(); /* the host's limit: this instance is over, the next one begins */
  }
  used = end - (size_t)&__heap_base;
  return (uint8_t *)at;
}

/* The host calls it for each string and list that it brings. */
EXPORT("cabi_realloc")
void *cabi_realloc(const uint8_t *old, size_t old_size, size_t align, size_t new_size) {
  uint8_t *bytes = take(align, new_size);
  for (size_t i = 0; i < old_size && i < new_size; i++) {
    bytes[i] = old[i];
  }
  return bytes;
}

static bool is(Bytes bytes, const char *text) {
  size_t i = 0;
  while (i < bytes.len && text[i] != '\0' && bytes.ptr[i] == (uint8_t)text[i]) {
    i++;
  }
  return i == bytes.len && text[i] == '\0';
}

static uint8_t *append(uint8_t *at, Bytes bytes) {
  for (size_t i = 0; i < bytes.len; i++) {
    *at++ = bytes.ptr[i];
  }
  return at;
}

/* `OK: {method} {path}` */
static void describe(uint64_t sid, Bytes method, Bytes path) {
  const Bytes ok = {(const uint8_t *)"OK: ", 4};
  const Bytes space = {(const uint8_t *)" ", 1};
  uint8_t *answer = take(1, ok.len + method.len + space.len + path.len);
  uint8_t *end = append(append(append(append(answer, ok), method), space), path);
  send_result(sid, OK, answer, (size_t)(end - answer));
}

/* A stream: a frame for each word, and its end. */
static void words(uint64_t sid, Bytes text) {
  size_t begin = 0;
  for (size_t i = 0; i <= text.len; i++) {
    if (i == text.len || text.ptr[i] == ' ') {
      if (i > begin) {
        send_result(sid, OK, text.ptr + begin, i - begin);
      }
      begin = i + 1;
    }
  }
  send_result(sid, STREAM_END, NULL, 0);
}

EXPORT("nylon:ring/guest@1.0.0#init")
uint32_t init(void) { return OK; }

/* handle: func(sid: u64, req: request, payload: list<u8>) -> status. The fields of `req` are arguments
 * of their own: path, method, query, headers. */
EXPORT("nylon:ring/guest@1.0.0#handle")
uint32_t handle(uint64_t sid, const uint8_t *path_ptr, size_t path_len, const uint8_t *method_ptr,
                size_t method_len, const uint8_t *query_ptr, size_t query_len, const void *headers,
                size_t headers_len, const uint8_t *payload_ptr, size_t payload_len) {
  (void)query_ptr, (void)query_len, (void)headers, (void)headers_len;
  const Bytes path = {path_ptr, path_len};
  const Bytes method = {method_ptr, method_len};
  const Bytes payload = {payload_ptr, payload_len};
  uint32_t status = OK;
  if (!is(method, "CALL")) {
    describe(sid, method, path);
  } else if (is(path, "echo")) {
    send_result(sid, OK, payload.ptr, payload.len);
  } else if (is(path, "words")) {
    words(sid, payload);
  } else {
    status = UNSUPPORTED; /* the caller hears of it at once */
  }
  used = 0;
  return status;
}

EXPORT("nylon:ring/guest@1.0.0#shutdown")
void shutdown(void) {}
