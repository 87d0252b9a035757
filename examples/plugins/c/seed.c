/* The seed plugin in C: `OK: {method} {path}`, two seconds later, from a thread of its own.
 *
 *     cc -shared -fPIC -pthread -I abi/include -o libseed.so examples/plugins/c/seed.c
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nylon_ring.h"

static void *host_ctx;
static const NrHostVTable *host;

/* What the thread needs of the request, copied: the views end with `handle`. */
typedef struct Job {
  uint64_t sid;
  size_t len;
  uint8_t answer[];
} Job;

static uint8_t *append(uint8_t *at, const void *bytes, size_t len) {
  if (len > 0) { /* an empty view may have any pointer */
    memcpy(at, bytes, len);
  }
  return at + len;
}

static Job *job_for(uint64_t sid, const NrRequest *req) {
  size_t len = strlen("OK: ") + req->method.len + strlen(" ") + req->path.len;
  Job *job = malloc(sizeof(Job) + len);
  if (job != NULL) {
    job->sid = sid;
    job->len = len;
    uint8_t *at = append(job->answer, "OK: ", strlen("OK: "));
    at = append(at, req->method.ptr, req->method.len);
    at = append(at, " ", strlen(" "));
    append(at, req->path.ptr, req->path.len);
  }
  return job;
}

static void *work(void *arg) {
  Job *job = arg;
  const struct timespec two_seconds = {.tv_sec = 2, .tv_nsec = 0};
  nanosleep(&two_seconds, NULL);
  const NrBytes answer = {job->answer, job->len};
  host->send_result(host_ctx, job->sid, NR_STATUS_OK, answer);
  free(job);
  return NULL;
}

static NrStatus init(void *plugin_ctx, void *their_ctx, const NrHostVTable *their_vtable) {
  (void)plugin_ctx;
  if (their_vtable == NULL) {
    return NR_STATUS_INVALID;
  }
  host_ctx = their_ctx;
  host = their_vtable;
  return NR_STATUS_OK;
}

static NrStatus handle(void *plugin_ctx, uint64_t sid, const NrRequest *req, NrBytes payload) {
  (void)plugin_ctx;
  (void)payload;
  if (req == NULL) {
    return NR_STATUS_INVALID;
  }
  Job *job = job_for(sid, req);
  if (job == NULL) {
    return NR_STATUS_ERR;
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, job) != 0) {
    free(job);
    return NR_STATUS_ERR;
  }
  pthread_detach(thread);
  return NR_STATUS_OK;
}

static void shutdown(void *plugin_ctx) { (void)plugin_ctx; }

static const NrPluginVTable vtable = {init, handle, shutdown};

static const NrPluginInfo info = {
    .abi_version = NR_ABI_VERSION,
    .struct_size = sizeof(NrPluginInfo),
    .name = {(const uint8_t *)"seed-c", 6},
    .version = {(const uint8_t *)"1.0", 3},
    .plugin_ctx = NULL,
    .vtable = &vtable,
};

NR_EXPORT const NrPluginInfo *nylon_ring_get_plugin_v1(void);
NR_EXPORT const NrPluginInfo *nylon_ring_get_plugin_v1(void) { return &info; }
