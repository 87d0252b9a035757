// The seed plugin in C++: `OK: {method} {path}`, two seconds later, from a thread of its own.
//
//     c++ -std=c++17 -shared -fPIC -pthread -I abi/include -o libseed.so examples/plugins/cpp/seed.cpp
//
// Private copies of a library keep apart what belongs to each of them, except for what g++ marks as
// unique in the process: `static` variables in inline functions and in templates. A plugin that has
// such is built with -fno-gnu-unique.
#include <chrono>
#include <string>
#include <thread>

#include "nylon_ring.h"

namespace {

void *host_ctx = nullptr;
const NrHostVTable *host = nullptr;

std::string text(NrStr view) {
  // An empty view may have any pointer.
  return view.len == 0 ? std::string() : std::string(reinterpret_cast<const char *>(view.ptr), view.len);
}

NrBytes bytes(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

NrStr name(const char *text, uint32_t len) { return {reinterpret_cast<const uint8_t *>(text), len}; }

extern "C" NrStatus init(void *, void *their_ctx, const NrHostVTable *their_vtable) {
  if (their_vtable == nullptr) {
    return NR_STATUS_INVALID;
  }
  host_ctx = their_ctx;
  host = their_vtable;
  return NR_STATUS_OK;
}

// No exception may leave it: the host is not C++.
extern "C" NrStatus handle(void *, uint64_t sid, const NrRequest *req, NrBytes) noexcept {
  if (req == nullptr) {
    return NR_STATUS_INVALID;
  }
  try {
    std::thread([sid, answer = "OK: " + text(req->method) + " " + text(req->path)] {
      std::this_thread::sleep_for(std::chrono::seconds(2));
      host->send_result(host_ctx, sid, NR_STATUS_OK, bytes(answer));
    }).detach();
    return NR_STATUS_OK;
  } catch (...) {
    return NR_STATUS_ERR;
  }
}

extern "C" void stop(void *) {}

const NrPluginVTable vtable = {init, handle, stop};

const NrPluginInfo info = {
    NR_ABI_VERSION, sizeof(NrPluginInfo), name("seed-cpp", 8), name("1.0", 3), nullptr, &vtable,
};

} // namespace

extern "C" NR_EXPORT const NrPluginInfo *nylon_ring_get_plugin_v1() { return &info; }
