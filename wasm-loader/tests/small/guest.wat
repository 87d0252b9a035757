;; A plugin that does what the first byte of a call's payload says. `{{..}}` is filled in by the tests.
(component
  (import "nylon:ring/types@1.0.0" (instance $types
    (type $s (enum "ok" "err" "invalid" "unsupported" "stream-end" "panic" "backpressure"))
    (export "status" (type $status (eq $s)))
    (type $h (record (field "key" string) (field "value" string)))
    (export "header" (type $header (eq $h)))
    (type $r (record (field "path" string) (field "method" string) (field "query" string)
      (field "headers" (list $header))))
    (export "request" (type $request (eq $r)))))
  (alias export $types "status" (type $status))
  (alias export $types "request" (type $request))
  (import "nylon:ring/host@1.0.0" (instance $host
    (alias outer 1 $status (type $s))
    (export "status" (type $status (eq $s)))
    (export "send-result"
      (func (param "sid" u64) (param "status" $status) (param "payload" (list u8))))))
  (import "nylon:ring-ext/timers@0.1.0" (instance $timers
    (alias outer 1 $status (type $s))
    (export "status" (type $status (eq $s)))
    (export "wake-after" (func (param "token" u64) (param "nanos" u64) (result $status)))))
  (import "nylon:ring-ext/log@0.1.0" (instance $log
    (type $l (enum "error" "warn" "info" "debug" "trace"))
    (export "level" (type $level (eq $l)))
    (export "write" (func (param "level" $level) (param "message" string)))))

  (core module $libc
    (memory (export "memory") {{pages}})
    (global $next (export "next") (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $len i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $len)))
      (block $fits (loop $more
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
        unreachable))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $send (canon lower (func $host "send-result") (memory $memory)))
  (core func $wake-after (canon lower (func $timers "wake-after")))
  (core func $write (canon lower (func $log "write") (memory $memory)))
  (type $thing (resource (rep i32)))
  (core func $new-thing (canon resource.new $thing))

  (core module $main
    (import "host" "send-result" (func $send (param i64 i32 i32 i32)))
    (import "host" "wake-after" (func $wake-after (param i64 i64) (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32)))
    (import "host" "new-thing" (func $new-thing (param i32) (result i32)))
    (import "libc" "memory" (memory 1))
    (import "libc" "next" (global $next (mut i32)))
    (table {{table}} funcref)
    (global $kept (mut i64) (i64.const 0))
    (global $calls (mut i32) (i32.const 0))
    ;; How often it has no room for data.
    (global $full (mut i32) (i32.const 0))
    ;; The stream that says nothing to data, and the one that refuses to be closed.
    (global $quiet (mut i64) (i64.const 0))
    (global $closeless (mut i64) (i64.const 0))
    (data (i32.const 64) "kept")

    (func $recurse (param i32) (result i32)
      (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func $spin (loop $l (br $l)))

    (func (export "init") (result i32)
      {{init}}
      (i32.const 0))
    (func (export "shutdown") {{shutdown}})
    (func (export "wake") (param $token i64)
      (if (i64.eq (local.get $token) (i64.const 666)) (then (call $spin)))
      (call $send (local.get $token) (i32.const 0) (i32.const 64) (i32.const 4)))
    (func (export "cancel") (param $sid i64) (global.set $kept (i64.const -1)))
    (func $is-full (result i32)
      (if (i32.eqz (global.get $full)) (then (return (i32.const 0))))
      (global.set $full (i32.sub (global.get $full) (i32.const 1)))
      (i32.const 1))
    ;; Data comes back as a frame.
    (func (export "stream-data") (param $sid i64) (param $at i32) (param $len i32) (result i32)
      (global.set $next (i32.const 4096))
      (if (call $is-full) (then (return (i32.const 6))))
      (if (i64.eq (local.get $sid) (global.get $quiet)) (then (return (i32.const 0))))
      (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
      (i32.const 0))
    (func (export "stream-close") (param $sid i64) (result i32)
      (if (call $is-full) (then (return (i32.const 6))))
      (if (i64.eq (local.get $sid) (global.get $quiet)) (then (return (i32.const 0))))
      (if (i64.eq (local.get $sid) (global.get $closeless)) (then (return (i32.const 3))))
      (call $send (local.get $sid) (i32.const 4) (i32.const 64) (i32.const 0))
      (i32.const 0))
    (func (export "handle")
      (param $sid i64) (param i32 i32 i32 i32 i32 i32 i32 i32) (param $at i32) (param $len i32)
      (result i32)
      (local $what i32) (local $n i32)
      (global.set $next (i32.const 4096))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.eqz (local.get $len)) (then (return (i32.const 2))))
      (local.set $what (i32.load8_u (local.get $at)))
      ;; e: echo
      (if (i32.eq (local.get $what) (i32.const 101)) (then
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      ;; s: spin
      (if (i32.eq (local.get $what) (i32.const 115)) (then (call $spin)))
      ;; S: write a line, and spin
      (if (i32.eq (local.get $what) (i32.const 83)) (then
        (call $write (i32.const 2) (i32.const 64) (i32.const 4))
        (call $spin)))
      ;; u: unreachable
      (if (i32.eq (local.get $what) (i32.const 117)) (then unreachable))
      ;; r: recurse
      (if (i32.eq (local.get $what) (i32.const 114)) (then (drop (call $recurse (i32.const 0)))))
      ;; m: take all memory
      (if (i32.eq (local.get $what) (i32.const 109)) (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable))
      ;; n: never answer
      (if (i32.eq (local.get $what) (i32.const 110)) (then (return (i32.const 0))))
      ;; q: say nothing, and nothing to its data and its close either
      (if (i32.eq (local.get $what) (i32.const 113)) (then
        (global.set $quiet (local.get $sid))
        (return (i32.const 0))))
      ;; R: say nothing, and refuse its close
      (if (i32.eq (local.get $what) (i32.const 82)) (then
        (global.set $closeless (local.get $sid))
        (return (i32.const 0))))
      ;; F: have no room for data, as often as follows, and say nothing
      (if (i32.eq (local.get $what) (i32.const 70)) (then
        (global.set $full (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (return (i32.const 0))))
      ;; h: make as many handles as follows, keep them, and echo
      (if (i32.eq (local.get $what) (i32.const 104)) (then
        (local.set $n (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (loop $more
          (drop (call $new-thing (i32.const 7)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      ;; x: refuse
      (if (i32.eq (local.get $what) (i32.const 120)) (then (return (i32.const 3))))
      ;; k: keep the sid, and ask for a wake in an hour
      (if (i32.eq (local.get $what) (i32.const 107)) (then
        (global.set $kept (local.get $sid))
        (return (call $wake-after (i64.const 0) (i64.const 3600000000000)))))
      ;; K: answer the one that is kept, and say which it was
      (if (i32.eq (local.get $what) (i32.const 75)) (then
        (call $send (global.get $kept) (i32.const 0) (i32.const 64) (i32.const 4))
        (i64.store (i32.const 128) (global.get $kept))
        (call $send (local.get $sid) (i32.const 0) (i32.const 128) (i32.const 8))
        (return (i32.const 0))))
      ;; f: answer the sid that follows, then echo
      (if (i32.eq (local.get $what) (i32.const 102)) (then
        (call $send (i64.load align=1 (i32.add (local.get $at) (i32.const 1)))
          (i32.const 0) (i32.const 64) (i32.const 4))
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      ;; d: answer twice
      (if (i32.eq (local.get $what) (i32.const 100)) (then
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (call $send (local.get $sid) (i32.const 0) (i32.const 64) (i32.const 4))
        (return (i32.const 0))))
      ;; D: answer for ever, with as many bytes as follows
      (if (i32.eq (local.get $what) (i32.const 68)) (then
        (local.set $n (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (loop $more
          (call $send (local.get $sid) (i32.const 0) (i32.const 0) (local.get $n))
          (br $more))))
      ;; b: answer with as many bytes as follows
      (if (i32.eq (local.get $what) (i32.const 98)) (then
        (local.set $n (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (call $send (local.get $sid) (i32.const 0) (i32.const 0) (local.get $n))
        (return (i32.const 0))))
      ;; w: answer when woken, after as many nanoseconds as follows
      (if (i32.eq (local.get $what) (i32.const 119)) (then
        (return (call $wake-after (local.get $sid)
          (i64.load align=1 (i32.add (local.get $at) (i32.const 1)))))))
      ;; t: ask for wakes until there are no more, and answer how many there were
      (if (i32.eq (local.get $what) (i32.const 116)) (then
        (block $done (loop $more
          (br_if $done (call $wake-after (i64.const 0) (i64.const 3600000000000)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $more)))
        (i32.store (i32.const 128) (local.get $n))
        (call $send (local.get $sid) (i32.const 0) (i32.const 128) (i32.const 4))
        (return (i32.const 0))))
      ;; W: be woken at once, to spin for ever, and answer
      (if (i32.eq (local.get $what) (i32.const 87)) (then
        (drop (call $wake-after (i64.const 666) (i64.const 0)))
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      ;; l: log as many lines as follows, and echo
      (if (i32.eq (local.get $what) (i32.const 108)) (then
        (local.set $n (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (loop $more
          (call $write (i32.const 2) (i32.const 64) (i32.const 4))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      ;; c: how many calls this instance has had
      (if (i32.eq (local.get $what) (i32.const 99)) (then
        (i32.store (i32.const 128) (global.get $calls))
        (call $send (local.get $sid) (i32.const 0) (i32.const 128) (i32.const 4))
        (return (i32.const 0))))
      ;; i: go around as often as follows, and echo
      (if (i32.eq (local.get $what) (i32.const 105)) (then
        (local.set $n (i32.load align=1 (i32.add (local.get $at) (i32.const 1))))
        (loop $more
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (call $send (local.get $sid) (i32.const 0) (local.get $at) (local.get $len))
        (return (i32.const 0))))
      (i32.const 2)))

  (core instance $main (instantiate $main
    (with "host" (instance
      (export "send-result" (func $send))
      (export "wake-after" (func $wake-after))
      (export "write" (func $write))
      (export "new-thing" (func $new-thing))))
    (with "libc" (instance $libc))))

  (func $init (result $status) (canon lift (core func $main "init")))
  (func $handle (param "sid" u64) (param "req" $request) (param "payload" (list u8))
    (result $status)
    (canon lift (core func $main "handle") (memory $memory) (realloc (core func $libc "realloc"))))
  (func $shutdown (canon lift (core func $main "shutdown")))
  (instance $guest
    (export "init" (func $init))
    (export "handle" (func $handle))
    (export "shutdown" (func $shutdown)))
  (export "nylon:ring/guest@{{version}}" (instance $guest))
  (func $wake (param "token" u64) (canon lift (core func $main "wake")))
  (instance $wakeable (export "wake" (func $wake)))
  (export "nylon:ring-ext/wakeable@0.1.0" (instance $wakeable))
  (func $stream-data (param "sid" u64) (param "data" (list u8)) (result $status)
    (canon lift (core func $main "stream-data") (memory $memory)
      (realloc (core func $libc "realloc"))))
  (func $stream-close (param "sid" u64) (result $status)
    (canon lift (core func $main "stream-close")))
  (instance $data
    (export "stream-data" (func $stream-data))
    (export "stream-close" (func $stream-close)))
  (export "nylon:ring-ext/data@0.1.0" (instance $data))
  (func $cancel (param "sid" u64) (canon lift (core func $main "cancel")))
  (instance $cancellation (export "cancel" (func $cancel)))
  (export "nylon:ring-ext/cancellation@0.1.0" (instance $cancellation))
)
