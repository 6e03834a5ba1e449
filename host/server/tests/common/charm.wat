;; A component of world `charm` that is the same charm with any source: streams `bgUpdater`, whose handler sets the cell
;; `count` to 1, and `broken`, whose handler fails; cells `count` (0) and `auth`, whose `token` is secret.
(component
  (import "commontools:background/cells@0.1.0" (instance $cells
    (type $cell-error' (variant
      (case "bad-name" string) (case "bad-json" string) (case "too-large" string) (case "unavailable" string)))
    (export "cell-error" (type $cell-error (eq $cell-error')))
    (export "set" (func (param "name" string) (param "value" string) (result (result (error $cell-error)))))))
  (type $handler-error' (record (field "message" string) (field "stack" (option string))))
  (import "handler-error" (type $handler-error (eq $handler-error')))
  (type $shape'
    (record (field "name" (option string)) (field "streams" (list string)) (field "secrets" (list (list string)))))
  (import "shape" (type $shape (eq $shape')))

  (core module $memory
    (memory (export "memory") 1)
    ;; What calls bring in lies above the constants; a call's instance is used once, so nothing is ever given back.
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $set (canon lower (func $cells "set") (memory $mem) (realloc (core func $memory "realloc"))))

  (core module $charm
    (import "memory" "memory" (memory 1))
    (import "cells" "set" (func $set (param i32 i32 i32 i32 i32)))
    ;; Texts.
    (data (i32.const 0) "Counter")
    (data (i32.const 16) "bgUpdater")
    (data (i32.const 32) "broken")
    (data (i32.const 48) "auth")
    (data (i32.const 56) "token")
    (data (i32.const 64) "count")
    (data (i32.const 72) "01")
    (data (i32.const 96) "{\"token\":\"sesame\",\"user\":{\"email\":\"ann@example.com\"}}")
    (data (i32.const 160) "TypeError: it is broken")
    ;; Streams: two strings. Secrets: one list of two strings.
    (data (i32.const 512) "\10\00\00\00\09\00\00\00\20\00\00\00\06\00\00\00")
    (data (i32.const 544) "\30\00\00\00\04\00\00\00\38\00\00\00\05\00\00\00")
    (data (i32.const 576) "\20\02\00\00\02\00\00\00")
    ;; The answer of `setup`: ok, some name, streams, secrets.
    (data (i32.const 640)
      "\00\00\00\00" "\01\00\00\00\00\00\00\00\07\00\00\00" "\00\02\00\00\02\00\00\00" "\40\02\00\00\01\00\00\00")
    ;; The answers of `handle`: ok; an error without a stack.
    (data (i32.const 704) "\00")
    (data (i32.const 768) "\01\00\00\00" "\a0\00\00\00\17\00\00\00" "\00\00\00\00")
    (func $expect-ok (if (i32.load8_u (i32.const 1024)) (then unreachable)))
    (func (export "setup") (result i32)
      (call $set (i32.const 64) (i32.const 5) (i32.const 72) (i32.const 1) (i32.const 1024))
      (call $expect-ok)
      (call $set (i32.const 48) (i32.const 4) (i32.const 96) (i32.const 53) (i32.const 1024))
      (call $expect-ok)
      (i32.const 640))
    ;; It has no page: ok, and none.
    (func (export "page") (result i32) (i32.const 2048))
    ;; The two streams differ in the lengths of their names.
    (func (export "handle") (param $stream i32) (param $length i32) (param $event i32) (param $size i32) (result i32)
      (if (i32.eq (local.get $length) (i32.const 6)) (then (return (i32.const 768))))
      (call $set (i32.const 64) (i32.const 5) (i32.const 73) (i32.const 1) (i32.const 1024))
      (call $expect-ok)
      (i32.const 704)))
  (core instance $charm (instantiate $charm
    (with "memory" (instance $memory))
    (with "cells" (instance (export "set" (func $set))))))

  (func $setup (result (result $shape (error $handler-error)))
    (canon lift (core func $charm "setup") (memory $mem) (realloc (core func $memory "realloc"))))
  (func $handle (param "stream" string) (param "event" string) (result (result (error $handler-error)))
    (canon lift (core func $charm "handle") (memory $mem) (realloc (core func $memory "realloc"))))
  (func $page (result (result (option string) (error $handler-error)))
    (canon lift (core func $charm "page") (memory $mem)))
  (export "setup" (func $setup))
  (export "page" (func $page))
  (export "handle" (func $handle)))
